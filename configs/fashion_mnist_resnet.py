"""A small ResNet on Fashion-MNIST.

Source: He et al. 2015, arXiv:1512.03385 (network); Xiao et al. 2017, arXiv:1708.07747 (data).
Command: python -m experiments.train configs/fashion_mnist_resnet.py --seed N
Hardware: 2 cores, AMD EPYC, with GLIBC_TUNABLES=glibc.malloc.hugetlb=1 in the environment; 589 s for a run.
Reached: test accuracy 92.20 % (seed 0; 10,000 test examples).
"""

from functools import partial
from typing import Literal

from fjdl import optim
from fjdl.augment import each_image, random_mirror, random_shift
from fjdl.data.mnist import fashion_mnist
from fjdl.functional.preprocessing import scale_pixels, standardize
from fjdl.models import BasicBlock, ResNet, SmallStem
from fjdl.nn import functional
from fjdl.schedules import one_cycle
from fjdl.train import Recipe
from fjdl.train.tasks import classification

MEAN, STD = 0.2860, 0.3530  # of the training pixels in [0, 1]


def recipe(
    *,
    seed: int = 0,
    epochs: int = 8,
    batch_size: int = 250,
    learning_rate: float = 0.2,
    weight_decay: float = 5e-4,
    width: int = 32,
    shift: int = 2,
    smoothing: float = 0.1,
    precision: Literal["float32", "bfloat16"] = "float32",
) -> Recipe:
    """A stem and three residual blocks of 1, 2 and 4 times `width` features, with Nesterov's momentum in one cycle."""
    task = classification(10, smoothing=smoothing)
    stem = partial(SmallStem, features=width)
    return Recipe(
        splits=fashion_mnist,
        model=functional(ResNet((1, 1, 1), BasicBlock, width=width, stem=stem, classes=10)),
        inputs=lambda batch: standardize(scale_pixels(batch["image"]), mean=MEAN, std=STD),
        loss=task.loss,
        metrics=task.metrics,
        augment=each_image(random_mirror, partial(random_shift, most=shift)),
        optimizer=lambda steps: optim.chain(
            optim.add_decayed_weights(weight_decay, rules=optim.KERNELS),
            optim.nesterov(one_cycle(peak=learning_rate, steps=steps)),
        ),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        precision=precision,
    )
