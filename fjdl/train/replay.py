"""A training step of a run once more: the state before it, its batch, and what of it is not finite."""

import dataclasses
from contextlib import closing
from typing import NamedTuple

import jax

from fjdl.data.loading import load_batches, to_device
from fjdl.errors import CheckpointError, UsageError
from fjdl.train import checkpoint
from fjdl.train.diverged import read_diverged
from fjdl.train.feed import epochs
from fjdl.train.layout import DATA_PARALLEL
from fjdl.train.mesh import along, make_mesh, replicated
from fjdl.train.operations import Found, not_finite
from fjdl.train.prepare import Prepared
from fjdl.train.recipe import Batch
from fjdl.train.rundir import RunDirectory
from fjdl.train.state import Stream, TrainState, stream_key
from fjdl.train.step import make_attempt


class Replayed(NamedTuple):
    """A step that was done once more."""

    step: int
    start: str  # where its state came from, in words
    found: list[Found]  # its results that are not finite: loss, penalty, gradients, parameters after it


def replay(prepared: Prepared, run: RunDirectory, step: int) -> Replayed:
    """Step number `step` of the run once more, one operation at a time; nothing in the run changes.

    The state before it is the one that the run keeps in `diverged/`, where that is of this step. Else the training is
    done again from the newest checkpoint before it, or from its beginning, bit for bit where the environment is that
    of the run. Raises `UsageError` for a step that the recipe does not have.
    """
    recipe, splits, _, program = prepared
    steps = program.steps_per_epoch * recipe.epochs
    if not 0 <= step < steps:
        raise UsageError(f"step must lie in [0, {steps}), got {step}")
    state, start = state_before(prepared, run, step)
    alone = dataclasses.replace(recipe, layout=DATA_PARALLEL)
    mesh = make_mesh(jax.devices()[:1])
    with jax.transfer_guard("allow"):
        state = jax.device_put(jax.device_get(state), replicated(mesh))
        rows = load_batches(
            stream_key(recipe.seed, Stream.ORDER),
            splits.train,
            batch_size=recipe.batch_size,
            start=step,
            stop=step + 1,
            order=recipe.order,
        )
        with closing(to_device(rows, sharding=along(mesh))) as batches:
            batch: Batch = dict(next(batches))
        attempt = make_attempt(alone, mesh, steps=steps)
        return Replayed(step, start, not_finite(attempt, state, batch, arguments=("state", "batch")))


def state_before(prepared: Prepared, run: RunDirectory, step: int) -> tuple[TrainState, str]:
    """The state of the run before that step, and where it came from."""
    recipe, splits, mesh, program = prepared
    kept = read_diverged(run)
    if kept is not None and kept.state and kept.step == step:
        return checkpoint.restore(run.diverged, jax.eval_shape(program.init), step=step), f"{run.diverged / str(step)}"
    saved = [number for number in checkpoint.steps(run.checkpoints) if number <= step]
    state, words = program.begin(), "the beginning of the training"
    for number in reversed(saved):
        placed = _verified(run, state, number)
        if placed is not None:
            state, words = placed, f"{run.checkpoints / str(number)}"
            break
    epoch, done = epochs(recipe, program, splits.train, mesh), int(state.step)
    tally, pace = program.single.start(), _Until(step)
    while done < step:
        state, tally, done, _ = epoch(state, tally, done, pace)  # type: ignore[arg-type]
    return state, words


class _Until:
    """The pace of a training that stops at a step."""

    def __init__(self, step: int) -> None:
        self._step = step

    def until(self, step: int, end: int) -> int | None:
        return min(end, self._step) if step < self._step else None

    def reached(self, step: int) -> None:
        """Nothing is measured."""


def _verified(run: RunDirectory, like: TrainState, step: int) -> TrainState | None:
    try:
        return checkpoint.restore(run.checkpoints, like, step=step)
    except CheckpointError:
        return None
