"""The states that a run directory holds: the newest, to go on from, and the best, to be judged."""

from typing import Any

from fjdl.errors import CheckpointError
from fjdl.train import checkpoint
from fjdl.train.json_files import truncate_after
from fjdl.train.records import read_metrics, read_timing, require_no_saves, require_state
from fjdl.train.rundir import RunDirectory, finished
from fjdl.train.state import TrainState
from fjdl.tree import digest


def restore_latest(run: RunDirectory, state: TrainState, steps_per_epoch: int) -> TrainState:
    """The newest state that verifies, or `state` in a run that has never saved one; drops the records after it.

    Raises `StorageError` where the records up to there have gaps or tell of checkpoints that are gone, and
    `CheckpointError` where they are those of another state; nothing is dropped then.
    """
    checkpoint.clean_partial(run.checkpoints)
    step = checkpoint.latest_verified(run.checkpoints)
    if step is None:
        require_no_saves(run.metrics, run.checkpoints)
    else:
        state = checkpoint.restore(run.checkpoints, state, step=step)
        _require_records(run, state, step, steps_per_epoch)
        print(f"resumed from step {step}, state {digest(state)[:16]}", flush=True)
    for path in (run.metrics, run.timing):
        truncate_after(path, step or 0)
    return state


def restore_best(run: RunDirectory, state: TrainState) -> TrainState:
    """The state of the best epoch of the run that ended with `state`."""
    step = int(state.best.step)
    return state if step in (-1, int(state.step)) else checkpoint.restore(run.checkpoints, state, step=step)


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
    read_timing(run.timing, steps_per_epoch=steps_per_epoch, until=step)
    records = read_metrics(run.metrics, steps_per_epoch=steps_per_epoch, until=step)
    require_state(records, step, digest(state), where=run.checkpoints / str(step))
