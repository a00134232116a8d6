"""Progress on the terminal."""

import contextlib
import io
import math
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TextIO

Say = Callable[[str], None]  # what is done with a line that a training has to say


def silent(line: str) -> None:
    """Says nothing."""
    del line


class Dropped(io.StringIO):
    """A stream that keeps nothing: for processes beside the one that shows the progress of all."""

    def write(self, text: str) -> int:
        """Drops the text."""
        return len(text)


class Progress:
    """A bar on a terminal; elsewhere one line at most every `seconds`, and the last one.

    Give it numbers that are already on the host: formatting a device array would wait for the device.
    """

    def __init__(self, total: int, *, initial: int = 0, seconds: float = 5.0, stream: TextIO | None = None) -> None:
        self._total, self._seconds, self._stream = total, seconds, stream or sys.stderr
        self._initial, self._began = initial, time.monotonic()
        self._shown, self._pending, self._text = -math.inf, "", ""
        self._terminal, self._bar = self._stream.isatty(), None

    def update(self, step: int, text: str = "") -> None:
        """Shows that `step` steps are done; a terminal that is gone stops nothing."""
        self._text = text
        self._show(step, since=self._shown)

    def move(self, step: int) -> None:
        """Shows that `step` steps are under way, inside of an epoch: beside the text of the last update."""
        self._show(step, since=max(self._shown, self._began))

    def _show(self, step: int, *, since: float) -> None:
        if self._terminal:
            with contextlib.suppress(OSError):
                self._bar = self._bar or _bar(self._total, self._initial, self._stream)
                self._bar.set_postfix_str(self._text, refresh=False)
                self._bar.update(step - self._bar.n)
            return
        self._pending = f"step {step}/{self._total}  {self._text}".rstrip()
        if time.monotonic() - since >= self._seconds:
            self._print()

    def close(self) -> None:
        """Shows the last update, if it is still due, and ends the bar."""
        if self._bar is not None:
            with contextlib.suppress(OSError):
                self._bar.close()
        elif self._pending:
            self._print()

    def _print(self) -> None:
        with contextlib.suppress(OSError):
            print(self._pending, file=self._stream, flush=True)
        self._shown, self._pending = time.monotonic(), ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _bar(total: int, initial: int, stream: TextIO) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, initial=initial, file=stream, unit="step", dynamic_ncols=True)
