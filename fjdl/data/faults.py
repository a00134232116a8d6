"""What is wrong with single examples: the first fault ends the reading, or each is told and its example left out."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

import numpy as np

from fjdl.errors import DataFormatError

_LEFT_OUT: ContextVar[bool] = ContextVar("bad examples are left out", default=False)


@contextlib.contextmanager
def bad_left_out() -> Iterator[None]:
    """Inside, `own.table` and `vision.in_memory` leave out examples that cannot be read, and tell of each of them.

    The sentences are in `Splits.left_out`. Other data sets make each example when it is asked for: `splits.without_bad`
    leaves out theirs.
    """
    token = _LEFT_OUT.set(True)
    try:
        yield
    finally:
        _LEFT_OUT.reset(token)


def leaves_out() -> bool:
    """Whether bad examples are left out now."""
    return _LEFT_OUT.get()


class Faults:
    """What is wrong with the rows of a table.

    The first fault is raised as `DataError`. Where bad rows are left out, the first one of each row is kept instead.
    """

    def __init__(self, *, keep: bool) -> None:
        self.keep = keep
        self.rows: dict[int, str] = {}
        self.others: list[str] = []

    def row(self, number: int, sentence: str) -> None:
        """A row has a fault."""
        if not self.keep:
            raise DataFormatError.told(sentence)
        self.rows.setdefault(number, sentence)

    def other(self, sentence: str) -> None:
        """Something that is no row of the table has a fault, such as a line with too few fields."""
        if not self.keep:
            raise DataFormatError.told(sentence)
        self.others.append(sentence)

    def good(self, length: int) -> np.ndarray:
        """The numbers of the rows without a fault."""
        return np.array([number for number in range(length) if number not in self.rows], np.int64)

    def told(self) -> tuple[str, ...]:
        """A sentence for each fault."""
        return tuple(f"{sentence}; the row is left out" for sentence in (*self.others, *self.rows.values()))
