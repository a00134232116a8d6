"""Arrays of the shapes of a data set whose files are not at hand, for programs that are compiled and not run.

Pixels are noise and labels go round the classes, so nothing can be learned from them. A data set gives them only inside
of `blank_data`.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from fjdl.checks import at_least
from fjdl.data.source import Source, from_arrays
from fjdl.errors import DataError

_Made = TypeVar("_Made")

IMAGENET = (1_281_167, 50_000)  # images of its training part and of the part that is held out


class AbsentError(DataError):
    """A data file is not there and is not fetched, because only shapes are wanted."""


@dataclass(frozen=True, kw_only=True)
class Blank:
    """What data sets give inside of `blank_data`."""

    always: bool
    images: tuple[int, int]  # of a folder of images: training part, held-out part
    classes: int  # of a folder of images
    used: list[str] = field(default_factory=list)  # the data sets that were made up


_STATE: ContextVar[Blank | None] = ContextVar("blank data", default=None)


@contextlib.contextmanager
def blank_data(
    *, always: bool = False, images: tuple[int, int] = IMAGENET, classes: int = 1000
) -> Iterator[Sequence[str]]:
    """Inside, data sets whose files are absent give arrays of the right shapes, dtypes and lengths; none is downloaded.

    Yields the names of those that did, in the order they were asked for. With `always` the files that are there are not
    read either. A folder of images has `images` of them, in the layout of ImageNet, and so many `classes`. A damaged
    file raises `DataError` as ever. Raises `ValueError` for sizes below 1.

    >>> from fjdl.data.cifar import cifar10
    >>> with blank_data(always=True) as made_up:
    ...     splits = cifar10()
    >>> made_up, splits.train.length, splits.train.element(0)["image"].shape
    (['cifar10'], 45000, (32, 32, 3))
    """
    at_least(1, images=min(images), classes=classes)
    state = Blank(always=always, images=images, classes=classes)
    token = _STATE.set(state)
    try:
        yield state.used
    finally:
        _STATE.reset(token)


def blank() -> Blank | None:
    """What holds now; None outside of `blank_data`."""
    return _STATE.get()


def absent(sentence: str) -> DataError:
    """The error of a file that is not there: `AbsentError` inside of `blank_data`, which stands in for the file."""
    return DataError(sentence) if blank() is None else AbsentError(sentence)


def found_or_blank(name: str, find: Callable[[], _Made], make: Callable[[Blank], _Made]) -> _Made:
    """`find()`, or inside of `blank_data` what `make` gives in its place where the files are absent."""
    state = blank()
    if state is None:
        return find()
    with contextlib.suppress(AbsentError):
        if not state.always:
            return find()
    if name not in state.used:
        state.used.append(name)
    return make(state)


def blank_images(length: int, shape: tuple[int, ...], *, classes: int) -> Source:
    """So many uint8 images of noise, the same in each process, with the labels 0, 1, … and again."""
    pixels = np.random.default_rng(0).integers(0, 256, (length, *shape), dtype=np.uint8)
    return from_arrays({"image": pixels, "label": np.arange(length, dtype=np.int32) % classes})
