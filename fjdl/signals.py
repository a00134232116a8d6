"""SIGINT, SIGTERM and SIGHUP are remembered, so that none is lost where Python discards what a handler raises.

Training stops between epochs, after a verified save. Any other program stops at once.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from types import FrameType

from fjdl.errors import Stopped

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Answer(Enum):
    """What a signal does apart from being remembered."""

    EXIT = auto()  # the process says which it was and ends, without any cleaning up
    RAISE = auto()  # `KeyboardInterrupt` in the main thread
    WAIT = auto()  # a line on a terminal, and nothing until somebody asks


class StopRequest:
    """Remembers the first signal; a second SIGINT raises `KeyboardInterrupt` whatever the answer is."""

    def __init__(self, answer: Answer = Answer.WAIT) -> None:
        self.answer = answer
        self.number: int | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        again, self.number = self.number is not None, self.number or number
        if self.answer is Answer.EXIT:
            _leave(number)
        if self.answer is Answer.WAIT and not again:
            _acknowledge(number)
        if self.answer is Answer.RAISE or (again and number == signal.SIGINT):
            raise KeyboardInterrupt

    @property
    def requested(self) -> bool:
        """Whether a signal came."""
        return self.number is not None

    def raise_if_requested(self) -> None:
        """Raises `Stopped` if a signal came."""
        if self.number is not None:
            raise Stopped(self.number)


def install(answer: Answer) -> StopRequest:
    """Gives the process a handler that remembers, until it ends; for the first line of a program.

    A SIGHUP that is ignored, as under nohup, stays so.
    """
    request = StopRequest(answer)
    _set(request)
    return request


@contextmanager
def stop_requests(*, answer: Answer = Answer.WAIT) -> Iterator[StopRequest]:
    """Inside the block signals are remembered and answered so; only the main thread can have that.

    Inside of such a block, or of a program that began with `install`, it is the same memory, and both ends of the block
    are places where `grant` is called.
    """
    outer = signal.getsignal(signal.SIGINT)
    if isinstance(outer, StopRequest):
        grant()
        before, outer.answer = outer.answer, answer
        try:
            yield outer
        finally:
            outer.answer = before
        grant()
        return
    request = StopRequest(answer)
    previous = _set(request)
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def grant() -> None:
    """Between two parts of a program: `KeyboardInterrupt` again if a signal came whose first one Python discarded."""
    request = signal.getsignal(signal.SIGINT)
    if isinstance(request, StopRequest) and request.requested:
        raise KeyboardInterrupt


def _set(request: StopRequest) -> dict[int, signal.Handlers]:
    """The handlers that the request replaces."""
    numbers = [n for n in _SIGNALS if n != signal.SIGHUP or signal.getsignal(n) is not signal.SIG_IGN]
    try:
        return {number: signal.signal(number, request) for number in numbers}  # type: ignore[misc]
    except ValueError:  # not the main thread
        return {}


def _acknowledge(number: int) -> None:
    with suppress(OSError):
        if os.isatty(2):
            name = signal.Signals(number).name
            os.write(
                2, f"\nfjdl: {name} received, stopping as soon as nothing is lost; Ctrl-C ends it at once\n".encode()
            )


def _leave(number: int) -> None:
    with suppress(OSError):
        os.write(2, f"fjdl: stopped by {signal.Signals(number).name}\n".encode())
    os._exit(128 + number)
