"""What a data set holds: everything is looked at once, part by part."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from fjdl.data.source import PARTS, Splits
from fjdl.errors import DataError
from fjdl.train.inspection import check_examples
from fjdl.train.recipe import Recipe

ANSWERS = ("label", "target")  # arrays that are predicted, not looked at


class Range(NamedTuple):
    """The numbers of one array in one part."""

    lowest: float
    highest: float
    mean: float
    not_finite: int  # of them, which are in none of the others
    shapes: tuple[tuple[int, ...], ...]
    dtype: str


class Duplicate(NamedTuple):
    """Two examples of the same inputs, each by its part and its number there."""

    first: tuple[str, int]
    second: tuple[str, int]
    alike: bool  # whether what is predicted is the same too


class Survey(NamedTuple):
    """What was found in a data set."""

    lengths: Mapping[str, int]
    bad: tuple[str, ...]  # a sentence for each example that cannot be used
    labels: Mapping[str, Counter[int]]  # how often each label occurs in each part
    duplicates: tuple[Duplicate, ...]
    ranges: Mapping[str, Mapping[str, Range]]  # by part and array


class _Seen(NamedTuple):
    number: int
    fault: str | None
    label: int | None = None
    digest: bytes = b""
    answer: bytes = b""
    numbers: Mapping[str, Any] = {}


def survey(recipe: Recipe, splits: Splits) -> Survey:
    """Makes every example once, several at a time, and looks at it.

    An example that raises `DataError`, breaks a requirement of the loss or makes the model's inputs NaN or infinite is
    bad. Examples are duplicates where all of their arrays but "label" and "target" are the same, byte for byte; each
    later one is told beside the first.
    """
    bad, duplicates = list(splits.left_out), []
    labels: dict[str, Counter[int]] = {}
    ranges: dict[str, dict[str, Range]] = {}
    first: dict[bytes, tuple[str, int, bytes]] = {}
    for part in PARTS:
        seen = _look(recipe, splits, part)
        bad += [each.fault for each in seen if each.fault is not None]
        good = [each for each in seen if each.digest]
        labels[part] = Counter(each.label for each in good if each.label is not None)
        ranges[part] = _ranges([each.numbers for each in good])
        for each in good:
            where, number, answer = first.setdefault(each.digest, (part, each.number, each.answer))
            if (where, number) != (part, each.number):
                duplicates.append(Duplicate((where, number), (part, each.number), answer == each.answer))
    lengths = {part: getattr(splits, part).length for part in PARTS}
    return Survey(lengths, tuple(bad), labels, tuple(duplicates), ranges)


def _look(recipe: Recipe, splits: Splits, part: str) -> list[_Seen]:
    source = getattr(splits, part)

    def look(number: int) -> _Seen:
        try:
            example = {name: np.asarray(array) for name, array in source.element(number).items()}
        except DataError as error:
            return _Seen(number, str(error))
        fault = None
        try:
            rows = {name: array[None] for name, array in example.items()}
            check_examples(rows, np.array([number]), inputs=recipe.inputs, loss=recipe.loss, part=part)
        except DataError as error:
            fault = str(error)
        return _Seen(
            number,
            fault,
            _label(example),
            _digest({name: array for name, array in example.items() if name not in ANSWERS}),
            _digest({name: array for name, array in example.items() if name in ANSWERS}),
            {name: _numbers(array) for name, array in example.items()},
        )

    with ThreadPoolExecutor() as pool:
        return list(pool.map(look, range(source.length)))


def _label(example: Mapping[str, np.ndarray]) -> int | None:
    """The label of an example that has one label."""
    label = example.get("label", np.zeros(0))
    return int(label) if label.ndim == 0 and label.dtype.kind in "iu" else None


def _digest(arrays: Mapping[str, np.ndarray]) -> bytes:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.digest()


def _numbers(array: np.ndarray) -> tuple[float, float, float, int, int, tuple[int, ...], str]:
    """Lowest, highest, sum and number of the finite entries, the number of others, shape and dtype."""
    flat = array.reshape(-1)
    finite = flat[np.isfinite(flat)] if flat.dtype.kind == "f" else flat
    if not finite.size:
        return np.inf, -np.inf, 0.0, 0, flat.size, array.shape, array.dtype.name
    total = float(finite.sum(dtype=np.float64))
    return (
        float(finite.min()),
        float(finite.max()),
        total,
        finite.size,
        flat.size - finite.size,
        array.shape,
        array.dtype.name,
    )


def _ranges(seen: list[Mapping[str, Any]]) -> dict[str, Range]:
    found = {}
    for name in dict.fromkeys(name for each in seen for name in each):
        low, high, sums, counts, others, shapes, dtypes = zip(
            *(each[name] for each in seen if name in each), strict=True
        )
        mean = sum(sums) / max(sum(counts), 1)
        found[name] = Range(min(low), max(high), mean, sum(others), tuple(dict.fromkeys(shapes)), dtypes[0])
    return found
