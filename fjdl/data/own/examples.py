"""Data sets of single examples that a user's own function makes."""

from collections.abc import Callable, Sequence

import numpy as np

from fjdl.calls import received
from fjdl.data.own.parts import drawn_parts, require_free_names, share_or_given
from fjdl.data.source import Example, Reader, Source, Splits, one_by_one, subset
from fjdl.errors import DataFormatError


def examples(
    train: Source | tuple[int, Callable[[int], Example]],
    *,
    validation: float | Source = 0.15,
    test: float | Source = 0.2,
    classes: Sequence[str] = (),
    labels: Sequence[int] | np.ndarray | None = None,
    split_seed: int = 0,
    name: str = "examples",
    reader: Reader | None = None,
) -> Splits:
    """Examples that a function of yours makes, `one(0)` to `one(999)`: `examples((1000, one))`.

    `train` is a `Source`, or a number of examples and a function from a number to one, which is called when the example
    is asked for and gives a dictionary of arrays, always of the same names, shapes and dtypes. `validation` and `test`
    are sources of their own, or shares that are drawn by the seed, class by class where `labels` has the class of each
    example. A label in examples is `{"label": int32}` and means `classes[label]`. `reader` says how a file that is in
    no part becomes an example, see `source.Picture`. A function that cannot make an example raises `DataError`, which
    `splits.without_bad` and `--skip-bad` leave out.

    Raises `DataError` for an example that is no dictionary of arrays or has a name that batches use themselves, for
    another number of labels than of examples, and for parts without an example.

    >>> splits = examples((100, lambda number: {"x": np.float32(number), "label": np.int32(number % 2)}), classes="ab")
    >>> splits.train.length, splits.train.element(np.arange(2))["label"].shape, splits.classes
    (65, (2,), ('a', 'b'))
    """

    def given(part: Source | tuple[int, Callable[[int], Example]]) -> Source:
        source = part if isinstance(part, Source) else one_by_one(*part)
        _require_example(name, source)
        return source

    whole = given(train)
    (share, middle), (last_share, last) = share_or_given(validation, given), share_or_given(test, given)
    groups = np.zeros(whole.length, np.int64) if labels is None else np.asarray(labels)
    if groups.shape != (whole.length,):
        raise DataFormatError(name, None, "there", f"be {whole.length} labels, one for each example", f"{groups.shape}")
    drawn = drawn_parts(name, groups, validation=share, test=last_share, seed=split_seed)
    first, *others = (subset(whole, indices) for indices in drawn)
    middle, last = (others.pop(0) if part is None else part for part in (middle, last))
    return Splits(name=name, train=first, validation=middle, test=last, classes=tuple(classes), reader=reader)


def _require_example(name: str, source: Source) -> None:
    if source.length < 1:
        raise DataFormatError(name, None, "each part", "hold an example", "none")
    example = source.element(0)
    if not isinstance(example, dict) or not all(hasattr(value, "dtype") for value in example.values()) or not example:
        raise DataFormatError(
            name, "example 0", "an example", "be a dictionary of arrays of NumPy", f"{received(example)}"
        )
    require_free_names(name, example)
