"""What a run keeps of the step at which its training stopped, because losses or gradients were not finite."""

import shutil
from typing import Any, NamedTuple

import numpy as np

from fjdl.errors import StorageError
from fjdl.train import checkpoint
from fjdl.train.documents import Fields, read_sealed, write_sealed
from fjdl.train.leaves import named_leaves
from fjdl.train.refused import Refused
from fjdl.train.rundir import RunDirectory
from fjdl.train.state import TrainState

_FILE = "diverged.json"
_FIELDS: Fields = {"step": int, "cause": str, "examples": list, "streak": int, "state": bool, "norms": dict}


class Diverged(NamedTuple):
    """The last step that was refused before a training stopped."""

    step: int
    cause: str  # what was not finite
    examples: list[int]  # numbers of the examples of its batch in the training part
    streak: int  # steps that were refused in a row
    state: bool  # whether `diverged/<step>` is a checkpoint of the state before the step
    norms: dict[str, float]  # of each parameter then


def keep_diverged(run: RunDirectory, state: TrainState, refused: Refused, streak: int) -> Diverged:
    """Writes `diverged/`, in place of one that is there.

    `state` is that after the epoch, on the host. A refused step changes nothing but counters and the scale of the loss,
    so where the last step was refused, it is the state before that step but for the scale. Where good steps
    followed, no state is kept, and a replay begins at the newest checkpoint. Raises `StorageError`.
    """
    _discard(run)
    trailing = int(state.streak) > 0
    norms = {name: float(np.linalg.norm(leaf.astype(np.float64))) for name, leaf in named_leaves(state.params).items()}
    kept = Diverged(refused.step, refused.cause, refused.examples, streak, trailing, norms)
    if trailing:
        before = {"step": np.asarray(refused.step, np.int32), "streak": state.streak - 1, "skipped": state.skipped - 1}
        counters = {name: np.asarray(value, np.int32) for name, value in before.items()}
        checkpoint.save(run.diverged, refused.step, state._replace(**counters), keep=1)
    try:
        run.diverged.mkdir(exist_ok=True)
    except OSError as error:
        raise StorageError(f"{run.diverged} cannot be written: {error.strerror}") from error
    write_sealed(run.diverged / _FILE, kept._asdict())
    return kept


def read_diverged(run: RunDirectory) -> Diverged | None:
    """What `keep_diverged` wrote, None in a run that has not diverged; raises `StorageError` for a damaged file."""
    path = run.diverged / _FILE
    if not path.exists():
        return None
    kept: dict[str, Any] = read_sealed(path, _FIELDS)
    return Diverged(**{name: kept[name] for name in Diverged._fields})


def _discard(run: RunDirectory) -> None:
    if run.diverged.exists():
        shutil.rmtree(run.diverged, ignore_errors=True)
