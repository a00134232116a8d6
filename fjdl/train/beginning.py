"""The state that a training starts from: the newest that its run has saved, or a new one with trained weights."""

from collections.abc import Mapping
from typing import Any

import jax

from fjdl.errors import UsageError
from fjdl.train import checkpoint
from fjdl.train.documents import PRETRAINED, read_sealed, write_sealed
from fjdl.train.prepare import Prepared, placed
from fjdl.train.processes import all_said, is_first
from fjdl.train.resume import Paused, restore_latest
from fjdl.train.rundir import RunDirectory
from fjdl.train.state import TrainState


def first_state(prepared: Prepared, run: RunDirectory) -> Paused:
    """What the run goes on from, as `restore_latest` finds it, or a new state where it has never saved one.

    Only a new one looks at the weights that the recipe begins with, and writes down what they were. Raises
    `UsageError` where processes have found different ones.
    """
    program = prepared.program
    state = placed(jax.eval_shape(program.init), program.places)
    like = Paused(state, program.single.start())
    found = restore_latest(run, like, program.steps_per_epoch)
    return found if found is not like else like._replace(state=_new(prepared, run))


def check_weights(prepared: Prepared, run: RunDirectory) -> None:
    """Reads the weights that a new run begins with, so that what is wrong with them is said before the run is made."""
    if not checkpoint.steps(run.checkpoints):
        prepared.program.weights()


def read_pretrained(run: RunDirectory) -> Mapping[str, Any] | None:
    """What the run has begun with: `path`, `sha256`, and how many arrays were `taken` or drawn, as `fresh`.

    None where all was drawn. Raises `StorageError` for a damaged file.
    """
    return read_sealed(run.pretrained, PRETRAINED) if run.pretrained.exists() else None


def _new(prepared: Prepared, run: RunDirectory) -> TrainState:
    program = prepared.program
    weights = program.weights()
    if weights is None:
        return program.init()
    if len(set(all_said(weights.sha256))) > 1:
        raise UsageError(f"all processes must find the same weights, got others than {weights.path} has here")
    if is_first():
        kept = {"path": str(weights.path), "sha256": weights.sha256, "taken": len(weights.arrays)}
        write_sealed(run.pretrained, {**kept, "fresh": list(weights.fresh)})
    return program.init(weights.arrays)
