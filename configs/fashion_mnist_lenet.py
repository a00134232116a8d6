"""LeNet-5 on Fashion-MNIST.

Source: LeCun et al. 1998 (network); Xiao et al. 2017, arXiv:1708.07747 (data).
Command: python -m experiments.train configs/fashion_mnist_lenet.py --seed N
Hardware: 2 cores, Intel(R) Xeon(R) Processor; 105 s for a run in float32.
Reached: test accuracy 91.94 ± 0.18 % (mean ± sample standard deviation; seeds 0, 1, 2; 10,000 test examples).
With --precision bfloat16: 92.05 ± 0.14 % (seeds 0, 1, 2).
"""

from functools import partial
from typing import Literal

from fjdl.augment import each_image, random_mirror, random_shift
from fjdl.data.mnist import fashion_mnist
from fjdl.functional.preprocessing import scale_pixels, standardize
from fjdl.models import LeNet5
from fjdl.nn import functional
from fjdl.optim import adam
from fjdl.schedules import warmup_cosine
from fjdl.train import Recipe
from fjdl.train.tasks import classification

MEAN, STD = 0.2860, 0.3530  # of the training pixels in [0, 1]


def recipe(
    *,
    seed: int = 0,
    epochs: int = 40,
    batch_size: int = 128,
    learning_rate: float = 3e-3,
    dropout: float = 0.1,
    shift: int = 1,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
) -> Recipe:
    """LeNet-5 on Fashion-MNIST, with random shifts and mirror images."""
    task = classification(10)
    return Recipe(
        splits=fashion_mnist,
        model=functional(LeNet5(dropout=dropout)),
        inputs=lambda batch: standardize(scale_pixels(batch["image"]), mean=MEAN, std=STD),
        loss=task.loss,
        metrics=task.metrics,
        augment=each_image(random_mirror, partial(random_shift, most=shift)),
        optimizer=lambda steps: adam(warmup_cosine(peak=learning_rate, warmup_steps=min(200, steps // 2), steps=steps)),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        precision=precision,
    )
