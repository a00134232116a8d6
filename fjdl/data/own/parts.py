"""The three parts of a user's own examples: given ones, and shares that are drawn by a seed."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from fjdl.batch import RESERVED
from fjdl.data.splits import split, stratified_split
from fjdl.errors import DataError

_Given = TypeVar("_Given")


def drawn_parts(
    home: str, labels: np.ndarray, *, validation: float | None, test: float | None, seed: int
) -> list[np.ndarray]:
    """The indices of the training part, and of those of the two others whose share is not None.

    They are drawn class by class, or where that leaves a part without an example, from all of them. Raises `DataError`
    where there are too few examples for that, and `ValueError` for shares that are not positive or leave nothing.
    """
    shares = [share for share in (validation, test) if share is not None]
    for name, share in (("validation", validation), ("test", test)):
        if share is not None and not 0 < share < 1:
            raise ValueError(f"{name} must be a share in (0, 1) or be given as data, got {share}")
    if sum(shares) >= 1:
        raise ValueError(f"validation and test must leave examples to learn from, got {shares[0]} and {shares[-1]}")
    fractions = (1 - sum(shares), *shares)
    with contextlib.suppress(ValueError):
        return list(stratified_split(labels, fractions=fractions, seed=seed))
    try:
        return list(split(len(labels), fractions=fractions, seed=seed))
    except ValueError as error:
        raise DataError(f"{home}: {error}") from None


def share_or_given(part: Any, read: Callable[[Any], _Given]) -> tuple[float | None, _Given | None]:
    """A share, or what is read of a part that is given, and None for the other."""
    return (float(part), None) if isinstance(part, int | float | np.number) else (None, read(part))


def require_free_names(home: str, names: Mapping[str, Any]) -> None:
    """Raises `DataError` for an array under a name that batches have for themselves."""
    for name in RESERVED:
        if name in names:
            raise DataError(f"{home}: an array must not be called {name!r}, which training provides, rename it")
