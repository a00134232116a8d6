"""LeNet-5 on scikit-learn's digits.

Source: LeCun et al. 1998 (network); UCI optical digits, test part, through scikit-learn (data).
Command: python -m experiments.train configs/digits_lenet.py --seed N
Hardware: 2 cores, Intel(R) Xeon(R) Processor; 6 s for a run in float32.
Reached: test accuracy 98.53 ± 0.95 % (mean ± sample standard deviation; seeds 0 to 9; 360 test examples).
With --precision bfloat16: 98.44 ± 0.77 % (seeds 0 to 9).
"""

from functools import partial
from typing import Literal

from fjdl.augment import each_image, random_shift
from fjdl.data.embedded import digits
from fjdl.functional.preprocessing import scale_pixels
from fjdl.models import LeNet5
from fjdl.nn import functional
from fjdl.optim import adam
from fjdl.schedules import warmup_cosine
from fjdl.train import Recipe
from fjdl.train.tasks import classification

PADDING = (2, 2)  # images are 8 x 8


def recipe(
    *,
    seed: int = 0,
    epochs: int = 150,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    dropout: float = 0.1,
    shift: int = 1,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
    patience: int = 50,
) -> Recipe:
    """LeNet-5 on the digits."""
    task = classification(10)
    return Recipe(
        splits=digits,
        model=functional(LeNet5(padding=PADDING, dropout=dropout)),
        inputs=lambda batch: scale_pixels(batch["image"], maximum=16),
        loss=task.loss,
        metrics=task.metrics,
        augment=each_image(partial(random_shift, most=shift)),
        optimizer=lambda steps: adam(warmup_cosine(peak=learning_rate, warmup_steps=min(50, steps // 2), steps=steps)),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        precision=precision,
        patience=patience,
    )
