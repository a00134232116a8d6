"""A multilayer perceptron on scikit-learn's digits.

Source: textbook network; UCI optical digits, test part, through scikit-learn (data).
Command: python -m experiments.train configs/digits_mlp.py --seed N
Hardware: 2 cores, Intel(R) Xeon(R) Processor; 2 s for a run in float32.
Reached: test accuracy 98.15 ± 0.16 % (mean ± sample standard deviation; seeds 0, 1, 2; 360 test examples).
"""

from typing import Literal

from fjdl.data.embedded import digits
from fjdl.functional.preprocessing import scale_pixels
from fjdl.models import MLP
from fjdl.nn import functional
from fjdl.optim import adam
from fjdl.schedules import cosine
from fjdl.train import Recipe
from fjdl.train.tasks import classification


def recipe(
    *,
    seed: int = 0,
    epochs: int = 60,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    hidden: tuple[int, ...] = (128, 64),
    dropout: float = 0.2,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
    patience: int = 20,
) -> Recipe:
    """Two hidden layers on the digits."""
    task = classification(10)
    return Recipe(
        splits=digits,
        model=functional(MLP(hidden=tuple(hidden), classes=10, dropout=dropout)),
        inputs=lambda batch: scale_pixels(batch["image"], maximum=16),
        loss=task.loss,
        metrics=task.metrics,
        optimizer=lambda steps: adam(cosine(peak=learning_rate, steps=steps)),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        precision=precision,
        patience=patience,
    )
