"""Logistic regression with weight decay on the Wisconsin breast cancer data.

Source: textbook model; Street et al. 1993 through scikit-learn (data).
Command: python -m experiments.train configs/breast_cancer_logistic.py --seed N
Hardware: 2 cores, Intel(R) Xeon(R) Processor; 2 s for a run in float32.
Reached: test accuracy 98.53 ± 0.51 % (mean ± sample standard deviation; seeds 0, 1, 2; 113 test examples).
scikit-learn's LogisticRegression(C=1) on the same split: 98.23 %, see docs/classical.md for more splits.
"""

from typing import Literal

from fjdl.data.embedded import breast_cancer, standardize
from fjdl.models import LogisticRegression
from fjdl.nn import functional
from fjdl.optim import adamw
from fjdl.schedules import cosine
from fjdl.train import Recipe
from fjdl.train.tasks import classification


def recipe(
    *,
    seed: int = 0,
    epochs: int = 100,
    batch_size: int = 32,
    learning_rate: float = 1e-2,
    weight_decay: float = 1e-2,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
    patience: int = 30,
) -> Recipe:
    """Two-class softmax regression on thirty standardized features."""
    task = classification(2)
    return Recipe(
        splits=lambda: standardize(breast_cancer()),
        model=functional(LogisticRegression(2)),
        inputs=lambda batch: batch["features"],
        loss=task.loss,
        metrics=task.metrics,
        optimizer=lambda steps: adamw(cosine(peak=learning_rate, steps=steps), weight_decay=weight_decay),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        precision=precision,
        monitor="loss",
        mode="min",
        patience=patience,
    )
