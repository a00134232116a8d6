"""LeNet-5 on MNIST.

Source: LeCun et al. 1998 (network and data).
Command: python -m experiments.train configs/mnist_lenet.py --seed N
Hardware: 2 cores, Intel(R) Xeon(R) Processor; 50 s for a run in float32.
Reached: test accuracy 99.38 ± 0.03 % (mean ± sample standard deviation; seeds 0, 1, 2; 10,000 test examples).
"""

from functools import partial
from typing import Literal

from fjdl.augment import each_image, random_shift
from fjdl.data.mnist import mnist
from fjdl.functional.preprocessing import scale_pixels, standardize
from fjdl.models import LeNet5
from fjdl.nn import functional
from fjdl.optim import adam
from fjdl.schedules import warmup_cosine
from fjdl.train import Recipe
from fjdl.train.tasks import classification

MEAN, STD = 0.1307, 0.3081  # of the training pixels in [0, 1]


def recipe(
    *,
    seed: int = 0,
    epochs: int = 20,
    batch_size: int = 128,
    learning_rate: float = 3e-3,
    dropout: float = 0.1,
    shift: int = 2,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
) -> Recipe:
    """LeNet-5 on MNIST, with random shifts."""
    task = classification(10)
    return Recipe(
        splits=mnist,
        model=functional(LeNet5(dropout=dropout)),
        inputs=lambda batch: standardize(scale_pixels(batch["image"]), mean=MEAN, std=STD),
        loss=task.loss,
        metrics=task.metrics,
        augment=each_image(partial(random_shift, most=shift)),
        optimizer=lambda steps: adam(warmup_cosine(peak=learning_rate, warmup_steps=min(200, steps // 2), steps=steps)),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        precision=precision,
    )
