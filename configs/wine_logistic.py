"""Softmax regression with weight decay on wine, whose standardization is saved with the parameters.

Source: textbook model; Aeberhard & Forina 1991 through scikit-learn (data).
Command: python -m experiments.train configs/wine_logistic.py --seed N
Hardware: 2 cores, AMD EPYC; 3 s for a run in float32.
Reached: test accuracy 100.00 ± 0.00 % (mean ± sample standard deviation; seeds 0, 1, 2; 36 test examples).
scikit-learn's LogisticRegression(C=1) on the same split: 100.00 %, see docs/classical.md for more splits.
"""

from typing import Literal

import jax.numpy as jnp

from fjdl.data.embedded import wine
from fjdl.data.source import to_arrays
from fjdl.functional.scaling import Scaling, fit_standard, transform
from fjdl.models import LogisticRegression
from fjdl.nn import functional
from fjdl.nn.model import preprocessed
from fjdl.optim import adamw
from fjdl.schedules import cosine
from fjdl.train import Recipe
from fjdl.train.tasks import classification


def recipe(
    *,
    seed: int = 0,
    epochs: int = 100,
    batch_size: int = 16,
    learning_rate: float = 1e-2,
    weight_decay: float = 1e-2,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
    patience: int = 30,
) -> Recipe:
    """Three-class softmax regression on thirteen raw features that the model itself standardizes."""
    task = classification(3)

    def fit() -> Scaling:
        return fit_standard(jnp.asarray(to_arrays(wine().train)["features"]))

    return Recipe(
        splits=wine,
        model=preprocessed(functional(LogisticRegression(3)), transform, fit=fit),
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
