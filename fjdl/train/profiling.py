"""A trace of some training steps for xprof: what the devices and the host do, and when."""

from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import jax

from fjdl.errors import UsageError
from fjdl.train.progress import Say, silent
from fjdl.typing import PyTree


class Steps(NamedTuple):
    """Training steps from `start`, counted from 0, to `stop` - 1."""

    start: int
    stop: int


def parse_steps(text: str, *, steps: int) -> Steps:
    """The range that `START:STOP` names; raises `UsageError` unless 0 <= START < STOP <= steps of the training.

    >>> parse_steps("10:15", steps=100)
    Steps(start=10, stop=15)
    """
    first, _, last = text.partition(":")
    if not (first.isdecimal() and last.isdecimal() and int(first) < int(last) <= steps):
        raise UsageError(
            f"profile must be START:STOP, steps of this training with 0 <= START < STOP <= {steps}, got {text!r}"
        )
    return Steps(int(first), int(last))


class Profile:
    """Writes the trace of the steps in a range into a folder, inside its block; of none where there is no range.

    Steps that run as one program, as an epoch over data on the devices does, are traced together: all epochs that
    contain a step of the range. Where the traced steps end, the host waits for them.
    """

    def __init__(self, steps: Steps | None, folder: Path, *, say: Say = silent) -> None:
        self._steps, self._folder, self._running, self._say = steps, folder, False, say

    def before(self, step: int, *, until: int) -> None:
        """The steps from `step` to `until` - 1 are about to be handed to the devices."""
        if self._steps is None or self._running or until <= self._steps.start or step >= self._steps.stop:
            return
        jax.profiler.start_trace(self._folder)
        self._running = True

    def after(self, step: int, result: PyTree) -> None:
        """The steps before `step` are under way, and `result` is that of the last."""
        if self._running and self._steps is not None and step >= self._steps.stop:
            jax.block_until_ready(result)
            self._end()
            self._say(f"traced in {self._folder}; to look at it: pip install xprof && xprof --port 8791 {self._folder}")

    def _end(self) -> None:
        jax.profiler.stop_trace()
        self._steps, self._running = None, False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running:
            self._end()
        elif self._steps is not None and error is None:
            self._say(f"no step of {self._steps.start}:{self._steps.stop} was trained here, nothing was traced")
