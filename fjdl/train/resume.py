"""The states that a run directory holds: the newest, to go on from, and the best, to be judged."""

import logging
import shutil
from typing import Any, NamedTuple

from fjdl.errors import CheckpointError
from fjdl.train import checkpoint
from fjdl.train.json_files import truncate_after
from fjdl.train.processes import from_first, is_first, told
from fjdl.train.program import Tally
from fjdl.train.records import read_metrics, read_timing, require_no_saves, require_state
from fjdl.train.rundir import RunDirectory, finished
from fjdl.train.state import TrainState
from fjdl.tree import digest

_log = logging.getLogger(__name__)


class Paused(NamedTuple):
    """What a training needs to go on inside of an epoch."""

    state: TrainState
    tally: Tally  # of the steps of the epoch so far; it counts only there


def save_paused(run: RunDirectory, paused: Paused, step: int) -> None:
    """Saves a state inside of an epoch, beside the checkpoints of whole epochs, unless nothing is new in it."""
    if step and step not in (*checkpoint.steps(run.paused), *checkpoint.steps(run.checkpoints)):
        checkpoint.save(run.paused, step, paused, keep=1)


def discard_paused(run: RunDirectory) -> None:
    """Deletes what `save_paused` saved, which a later checkpoint has replaced."""
    if run.paused.exists():
        shutil.rmtree(run.paused, ignore_errors=True)


def restore_latest(run: RunDirectory, new: Paused, steps_per_epoch: int) -> Paused:
    """The newest state that verifies, or `new` in a run that has never saved one; drops the records after it.

    Raises `StorageError` where the records up to there have gaps or tell of checkpoints that are gone, and
    `CheckpointError` where they are those of another state; nothing is dropped then.
    """
    step, inside = told(lambda: _newest(run))
    if step is not None:
        saved = new if inside else new.state
        found = from_first(lambda: _with_records(run, saved, step, steps_per_epoch, inside=inside), saved)
        placed = checkpoint.place(found, saved)
        new = placed if inside else new._replace(state=placed)
    if is_first():
        for path in (run.metrics, run.timing):
            truncate_after(path, step or 0)
    return new


def _newest(run: RunDirectory) -> tuple[int | None, bool]:
    """The step of the newest state that verifies, None where there is none, and whether it is inside of an epoch."""
    for folder in (run.checkpoints, run.paused):
        checkpoint.clean_partial(folder)
    step, paused = checkpoint.latest_verified(run.checkpoints), _newest_paused(run)
    if step is None:
        require_no_saves(run.metrics, run.checkpoints)
    return (step, False) if paused is None or paused <= (step or 0) else (paused, True)


def _newest_paused(run: RunDirectory) -> int | None:
    """The step of the state that a stop inside of an epoch saved; without a whole one the epoch runs again."""
    try:
        return checkpoint.latest_verified(run.paused)
    except CheckpointError as error:
        _log.warning("the epoch that was interrupted begins again: %s", error)
        return None


def _with_records(run: RunDirectory, like: Any, step: int, steps_per_epoch: int, *, inside: bool) -> Any:
    """The state on the host, with the records up to there."""
    tree = checkpoint.read(run.paused if inside else run.checkpoints, like, step=step)
    state = tree.state if inside else tree
    _require_records(run, state, step, steps_per_epoch)
    print(f"resumed from step {step}, state {digest(state)[:16]}", flush=True)
    return tree


def restore_best(run: RunDirectory, state: TrainState) -> TrainState:
    """The state of the best epoch of the run that ended with `state`."""
    step = int(state.best.step)
    if step in (-1, int(state.step)):
        return state
    return checkpoint.place(from_first(lambda: checkpoint.read(run.checkpoints, state, step=step), state), state)


def read_best(run: RunDirectory, abstract: Any, steps_per_epoch: int) -> TrainState:
    """The state of a run's best epoch, in the structure of `abstract`; nothing in the run changes.

    In a finished run it is the state that result.json records, at its step and with its digest, or a `CheckpointError`.
    In another it is the best one so far, as the newest checkpoint that verifies has it.
    """
    result = finished(run)
    if result is not None:
        return _recorded(run, abstract, result["best_step"], result["state"])
    step = checkpoint.latest_verified(run.checkpoints, set_aside=False)
    if step is None:
        require_no_saves(run.metrics, run.checkpoints)
        raise CheckpointError(f"{run.path} holds no checkpoint yet, train it first")
    best = restore_best(run, checkpoint.restore(run.checkpoints, abstract, step=step))
    records = read_metrics(run.metrics, steps_per_epoch=steps_per_epoch, until=step)
    require_state(records, int(best.step), digest(best), where=run.checkpoints / str(int(best.step)))
    return best


def _recorded(run: RunDirectory, abstract: Any, step: int, state: str) -> TrainState:
    saved = checkpoint.restore(run.checkpoints, abstract, step=step)
    if digest(saved) != state:
        raise CheckpointError(
            f"{run.checkpoints / str(step)} holds state {digest(saved)[:16]}, {run.result} records {state[:16]}"
        )
    return saved


def _require_records(run: RunDirectory, state: TrainState, step: int, steps_per_epoch: int) -> None:
    until = step // steps_per_epoch * steps_per_epoch
    read_timing(run.timing, steps_per_epoch=steps_per_epoch, until=until)
    records = read_metrics(run.metrics, steps_per_epoch=steps_per_epoch, until=until)
    require_state(records, step, digest(state), where=run.checkpoints / str(step))
