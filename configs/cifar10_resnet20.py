"""CIFAR ResNet-20.

Source: He et al. 2015, arXiv:1512.03385, section 4.2 (91.25 % in 64,000 steps); Krizhevsky 2009 (data).
Command: python -m experiments.train configs/cifar10_resnet20.py --seed N
Reached: not run yet; the paper has 91.25 %.
"""

from functools import partial
from typing import Literal

from fjdl import optim
from fjdl.augment import each_image, random_crop, random_mirror
from fjdl.data.cifar import cifar10
from fjdl.functional.preprocessing import scale_pixels, standardize
from fjdl.models import cifar_resnet20
from fjdl.nn import functional
from fjdl.schedules import piecewise_constant
from fjdl.train import Recipe
from fjdl.train.tasks import classification

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)  # of the training pixels in [0, 1]


def recipe(
    *,
    seed: int = 0,
    epochs: int = 182,
    batch_size: int = 128,
    learning_rate: float = 0.1,
    weight_decay: float = 1e-4,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
) -> Recipe:
    """The paper's training: momentum, the rate divided by ten after half and after three quarters of the steps."""
    task = classification(10)
    values = (learning_rate, learning_rate / 10, learning_rate / 100)
    return Recipe(
        splits=partial(cifar10, validation=5000),
        model=functional(cifar_resnet20(classes=10)),
        inputs=lambda batch: standardize(scale_pixels(batch["image"]), mean=MEAN, std=STD),
        loss=task.loss,
        metrics=task.metrics,
        augment=each_image(partial(random_crop, size=(32, 32), padding=4), random_mirror),
        optimizer=lambda steps: optim.chain(
            optim.add_decayed_weights(weight_decay, rules=optim.KERNELS),
            optim.momentum(piecewise_constant(values=values, boundaries=(steps // 2, steps * 3 // 4))),
        ),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        precision=precision,
    )
