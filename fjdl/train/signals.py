"""SIGINT and SIGTERM as requests that are granted between epochs, after a verified save."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from fjdl.errors import Stopped

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Remembers the first signal; a second SIGINT ends the process at once."""

    def __init__(self) -> None:
        self._number: int | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        if self._number is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._number = self._number or number

    @property
    def requested(self) -> bool:
        """Whether a signal came."""
        return self._number is not None

    def raise_if_requested(self) -> None:
        """Raises `Stopped` if a signal came."""
        if self._number is not None:
            raise Stopped(self._number)


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Inside the block the signals are remembered instead of ending the process; only the main thread can do that."""
    request = StopRequest()
    try:
        previous = {number: signal.signal(number, request) for number in _SIGNALS}
    except ValueError:  # not the main thread
        previous = {}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
