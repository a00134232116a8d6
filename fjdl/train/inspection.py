"""What is looked at before training: whether the data are what the recipe takes them for."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.batch import INDEX, RESERVED, of_batch
from fjdl.data.source import Source, Splits
from fjdl.errors import DataError
from fjdl.train.recipe import Recipe

_BYTES = 2**26  # that are looked at together

Arrays = Mapping[str, np.ndarray]


def check_data(recipe: Recipe, splits: Splits) -> None:
    """Looks once at every example of the three parts, on the host; a streamed part is looked at while it is read.

    Raises `DataError` naming part, row and value for an example that breaks a requirement of the recipe's loss, such as
    the range of its labels, or whose numbers make the model's inputs NaN or infinite. A number that is not finite and
    that the inputs do not contain, or repair, is allowed.
    """
    for part in ("train", "validation", "test"):
        source = getattr(splits, part)
        if not source.streamed:
            check_source(recipe, source, part=part)


def check_source(recipe: Recipe, source: Source, *, part: str) -> None:
    """`check_data` of one part whose examples are in memory."""
    size = max(1, sum(np.asarray(array).nbytes for array in source.element(0).values()))
    rows = max(1, _BYTES // size)
    for start in range(0, source.length, rows):
        indices = np.arange(start, min(start + rows, source.length))
        check_examples(recipe, source.element(indices), indices, part=part)


def checked(recipe: Recipe, batches: Iterable[Arrays], *, part: str) -> Iterator[Arrays]:
    """The batches of a stream, each looked at before it goes on; raises `DataError` as `check_data` does."""
    for batch in batches:
        examples = {name: array for name, array in batch.items() if name not in RESERVED}
        check_examples(recipe, examples, batch[INDEX], part=part)
        yield batch


def check_examples(recipe: Recipe, examples: Arrays, rows: np.ndarray, *, part: str) -> None:
    """`check_data` of some examples, whose numbers in the part are `rows`."""
    for name, rule, holds in getattr(recipe.loss, "requirements", ()):
        if name in examples:
            _require(np.asarray(holds(examples[name])), examples[name], rows, f"{name} must {rule}", part)
    finite = {name: np.isfinite(array) for name, array in examples.items() if _floating(array)}
    good = [_per_row(values) for values in finite.values()]
    suspects = np.flatnonzero(~np.stack(good).all(axis=0)) if good else np.zeros(0, int)
    if not suspects.size:
        return
    chosen = {name: array[suspects] for name, array in examples.items()}
    spoilt = ~_finite_inputs(recipe, chosen)
    if not spoilt.any():
        return
    row = suspects[np.argmax(spoilt)]
    name = next(name for name, values in finite.items() if not values[row].all())
    only = slice(row, row + 1)
    _require(finite[name][only], examples[name][only], rows[only], f"{name} must be finite", part)


def _require(holds: np.ndarray, values: np.ndarray, rows: np.ndarray, rule: str, part: str) -> None:
    broken = np.argwhere(~holds)
    if not broken.size:
        return
    first, *place = broken[0].tolist()
    where = f" at {place}" if place else ""
    raise DataError(f"{part} part, row {rows[first]}: {rule}, got {values[tuple(broken[0])]}{where}")


def _finite_inputs(recipe: Recipe, examples: Arrays) -> np.ndarray:
    """Whether everything that the model sees of each example is finite."""
    with jax.transfer_guard("allow"):
        batch = {name: jnp.asarray(array) for name, array in examples.items()}
        inputs = jax.device_get(of_batch("inputs", recipe.inputs, batch))
    good = [_per_row(np.isfinite(leaf)) for leaf in jax.tree.leaves(inputs) if _floating(leaf)]
    count = len(next(iter(examples.values())))
    return np.all([np.ones(count, bool), *good], axis=0)


def _per_row(values: np.ndarray) -> np.ndarray:
    return np.all(values.reshape(len(values), -1), axis=1)


def _floating(array: Any) -> bool:
    return jnp.issubdtype(np.asarray(array).dtype, jnp.inexact)
