"""Disjoint, complete and reproducible divisions of a data set."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from fjdl.checks import at_least
from fjdl.data.source import PARTS, Source, Splits, joined, subset, to_arrays
from fjdl.errors import DataError, DataFormatError


def split(length: int, *, fractions: Sequence[float], seed: int) -> tuple[np.ndarray, ...]:
    """One increasing int64 index vector per fraction; together they hold `0 … length - 1`, each exactly once.

    The members are drawn uniformly by `numpy.random.PCG64(seed)`; the sizes are the fractions of `length` rounded by
    largest remainder. Raises `ValueError` where the fractions are not positive with sum 1, or a part would be empty.
    """
    return stratified_split(np.zeros(length, np.int64), fractions=fractions, seed=seed)


def with_validation(
    name: str, whole: Source, test: Source, *, classes: tuple[str, ...], validation: int, seed: int
) -> Splits:
    """The parts of a data set that has an official test part: so many examples for validation are drawn from the rest.

    Raises `ValueError` unless both what is drawn and what is left have an example.
    """
    train, held_out = drawn_validation(whole.length, validation=validation, seed=seed)
    return Splits(name=name, train=subset(whole, train), validation=subset(whole, held_out), test=test, classes=classes)


def drawn_validation(length: int, *, validation: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Index vectors as those of `split`, of a training part and of so many examples for validation.

    Raises `ValueError` unless each has an example.
    """
    if not 0 < validation < length:
        raise ValueError(f"validation must lie in [1, {length - 1}], got {validation}")
    share = validation / length
    train, held_out = split(length, fractions=(1 - share, share), seed=seed)
    return train, held_out


def readable(source: Source) -> tuple[np.ndarray, tuple[str, ...]]:
    """The numbers of the examples that can be read, int64 and increasing, and a sentence for each that cannot.

    Every example is made once, several at a time.
    """

    def fault(number: int) -> str | None:
        try:
            source.element(number)
        except DataError as error:
            return f"{error}; example {number} is left out"
        return None

    with ThreadPoolExecutor() as pool:
        faults = list(pool.map(fault, range(source.length)))
    good = np.flatnonzero([each is None for each in faults])
    return good, tuple(each for each in faults if each is not None)


def without_bad(splits: Splits) -> Splits:
    """The data set without the examples that cannot be read, with a sentence for each of them in `left_out`.

    Every example is made once. Raises `DataError` where none of a part can be read.
    """
    parts, left_out = {}, list(splits.left_out)
    for part in PARTS:
        source = getattr(splits, part)
        good, faults = readable(source)
        if not good.size:
            raise DataFormatError(splits.name, None, f"an example of the {part} part", "be readable", f"{faults[:1]}")
        parts[part] = subset(source, good) if faults else source
        left_out += faults
    return replace(splits, **parts, left_out=tuple(left_out))


def stratified_split(labels: np.ndarray, *, fractions: Sequence[float], seed: int) -> tuple[np.ndarray, ...]:
    """Like `split`, but apportioned within every class, so that all parts have the same class proportions.

    Each part holds its fraction of each class to within one example; a class with fewer examples than parts is missing
    from some of them. Raises `ValueError` where `labels` is not a vector, and for the reasons of `split`.
    """
    _check(fractions)
    if np.ndim(labels) != 1:
        raise ValueError(f"labels must be a vector, got shape {list(np.shape(labels))}")
    generator = np.random.Generator(np.random.PCG64(seed))
    _, classes = np.unique(labels, return_inverse=True)
    part = np.empty(len(classes), np.int64)
    for label in range(classes.max(initial=-1) + 1):
        members = generator.permutation(np.flatnonzero(classes == label))
        part[members] = np.repeat(np.arange(len(fractions)), _sizes(len(members), fractions))
    parts = tuple(np.flatnonzero(part == number) for number in range(len(fractions)))
    if any(indices.size == 0 for indices in parts):
        sizes = [indices.size for indices in parts]
        raise ValueError(f"every part must hold an example, got parts of {sizes} for {len(part)} examples")
    return parts


def fold_indices(labels: np.ndarray, *, k: int, seed: int) -> tuple[np.ndarray, ...]:
    """`k` increasing int64 index vectors; together they hold `0 … len(labels) - 1`, each exactly once.

    Sizes differ by at most one, and so do a class's in all of them: `np.zeros(length, int)` as labels divides without
    classes. How many of each class every fold has equals `sklearn.model_selection.StratifiedKFold`, without classes
    `KFold`; which ones is drawn by `numpy.random.PCG64(seed)`. Raises `ValueError` where `labels` is not a vector, `k`
    is below 2 or exceeds the number of examples.

    >>> [fold.size for fold in fold_indices(np.zeros(8, int), k=3, seed=0)]
    [3, 3, 2]
    """
    at_least(2, k=k)
    if np.ndim(labels) != 1 or k > len(labels):
        raise ValueError(f"labels must be a vector of at least k={k} entries, got shape {list(np.shape(labels))}")
    mixed = np.random.Generator(np.random.PCG64(seed)).permutation(len(labels))
    _, first, classes = np.unique(labels, return_index=True, return_inverse=True)
    appeared = first[classes.reshape(-1)]  # classes stand in the order of their first example
    in_turn = mixed[np.argsort(appeared[mixed], kind="stable")]
    return tuple(np.sort(in_turn[number::k]) for number in range(k))


def folds(splits: Splits, *, k: int, seed: int, stratified: bool = True) -> tuple[Splits, ...]:
    """The data set `k` times, for cross-validation: training and validation parts are joined and divided anew.

    In the i-th one, fold i of `fold_indices` is the validation part and the others are the training part; the test part
    is never touched. With `stratified`, folds have equal shares of each class, by the examples' scalar "label", each of
    which is read once. Raises `ValueError` as `fold_indices`, and where there are no such labels.
    """
    whole = joined(splits.train, splits.validation)
    labels = _scalar_labels(whole) if stratified else np.zeros(whole.length, np.int64)
    held_out = fold_indices(labels, k=k, seed=seed)
    rest = (np.setdiff1d(np.arange(whole.length), fold) for fold in held_out)
    return tuple(
        replace(splits, train=subset(whole, train), validation=subset(whole, fold))
        for train, fold in zip(rest, held_out, strict=True)
    )


def _scalar_labels(source: Source) -> np.ndarray:
    labels = to_arrays(source).get("label")
    if labels is None or labels.ndim != 1:
        got = "no such array" if labels is None else f"shape {list(labels.shape[1:])}"
        raise ValueError(
            f"stratified folds need a scalar 'label' of each example, got {got}; stratified=False does not"
        )
    return labels


def _check(fractions: Sequence[float]) -> None:
    if not (all(fraction > 0 for fraction in fractions) and abs(sum(fractions) - 1) <= 1e-6):
        raise ValueError(f"fractions must be positive and sum to 1, got {list(fractions)}")


def _sizes(length: int, fractions: Sequence[float]) -> np.ndarray:
    """`length` apportioned by largest remainder; equal remainders go to the earlier part."""
    exact = np.asarray(fractions) / sum(fractions) * length
    sizes = np.floor(exact).astype(np.int64)
    remainders = np.round(exact - sizes, 6)  # 0.65 * 50 and 0.15 * 50 tie, whatever the last bit says
    sizes[np.argsort(-remainders, kind="stable")[: length - sizes.sum()]] += 1
    return sizes
