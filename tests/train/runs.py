"""Training in a folder, and what it leaves there."""

import dataclasses
from pathlib import Path

from fjdl.data.source import Splits
from fjdl.models import LogisticRegression
from fjdl.optim import sgd
from fjdl.train import checkpoint
from fjdl.train.loop import fit
from fjdl.train.recipe import Recipe
from fjdl.train.state import TrainState
from tests.train.toy import devices, quick, recipe

AT_REST = recipe(model=quick(LogisticRegression(10)), optimizer=lambda steps: sgd(0.0), epochs=7)


def train(made: Recipe, path: Path, data: Splits | None = None) -> TrainState:
    chosen = made if data is None else dataclasses.replace(made, splits=lambda: data)
    return fit(chosen, path, devices=devices())


def saved(path: Path) -> list[int]:
    return checkpoint.steps(path / "checkpoints")
