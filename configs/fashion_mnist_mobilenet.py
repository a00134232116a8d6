"""A small MobileNet on Fashion-MNIST.

Source: Howard et al. 2017, arXiv:1704.04861 (network); Xiao et al. 2017, arXiv:1708.07747 (data).
Command: python -m experiments.train configs/fashion_mnist_mobilenet.py --seed N
Hardware: 1 core, Xeon with AMX, shared with other work, with GLIBC_TUNABLES=glibc.malloc.hugetlb=1; 7 and 11 minutes.
Reached: test accuracy 91.35 ± 0.03 % (mean ± sample standard deviation; seeds 0, 1; 10,000 test examples).
"""

from typing import Literal

import optax

from fjdl import optim
from fjdl.augment import alternating_flips
from fjdl.data.mnist import fashion_mnist
from fjdl.functional.preprocessing import scale_pixels, standardize
from fjdl.models import MobileNet
from fjdl.nn import functional
from fjdl.schedules import one_cycle
from fjdl.train import Recipe
from fjdl.train.tasks import classification

MEAN, STD = 0.2860, 0.3530  # of the training pixels in [0, 1]
STAGES = ((64, 1, 1), (128, 2, 2), (256, 2, 1))  # channels, blocks, stride of the first block


def recipe(
    *,
    seed: int = 0,
    epochs: int = 4,
    batch_size: int = 250,
    learning_rate: float = 0.2,
    weight_decay: float = 5e-4,
    smoothing: float = 0.1,
    alpha: float = 1.0,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
) -> Recipe:
    """A stem and five depthwise separable blocks on 14 x 14 and 7 x 7 pixels, of `alpha` times the channels.

    All learn by Nesterov's momentum in one cycle.
    """
    task = classification(10, smoothing=smoothing)

    def optimizer(steps: int) -> optax.GradientTransformation:
        return optim.chain(
            optim.add_decayed_weights(weight_decay, rules=optim.KERNELS),
            optim.nesterov(one_cycle(peak=learning_rate, steps=steps)),
        )

    return Recipe(
        splits=fashion_mnist,
        model=functional(MobileNet(classes=10, alpha=alpha, stages=STAGES)),
        inputs=lambda batch: standardize(scale_pixels(batch["image"]), mean=MEAN, std=STD),
        loss=task.loss,
        metrics=task.metrics,
        augment=alternating_flips(seed),
        optimizer=optimizer,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        precision=precision,
    )
