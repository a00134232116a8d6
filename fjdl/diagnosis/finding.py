"""What a look at a training found."""

from collections.abc import Mapping
from typing import NamedTuple


class Finding(NamedTuple):
    """One question about a training, and the answer."""

    name: str  # of the question, such as "overfitting"
    trouble: bool
    words: str  # the answer in one sentence, with its numbers
    advice: tuple[str, ...] = ()  # what to do, the first thing first; none without trouble
    numbers: Mapping[str, float] = {}  # those of the sentence, for programs


def finding(name: str, words: str, *, trouble: bool, advice: tuple[str, ...], **numbers: float) -> Finding:
    """The finding, whose advice is given where there is trouble alone."""
    return Finding(name, trouble, words, advice if trouble else (), numbers)


def few(parts: list[str], *, most: int = 4) -> str:
    """Some of the parts in one line, and how many more there are.

    >>> few(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    rest = f" and {len(parts) - most} more" if len(parts) > most else ""
    return ", ".join(parts[:most]) + rest


def percent(share: float) -> str:
    """A share of one in percent, with three digits at most.

    >>> percent(0.12345), percent(1.0)
    ('12.3 %', '100 %')
    """
    return f"{100 * share:.3g} %"
