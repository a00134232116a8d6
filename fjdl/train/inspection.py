"""What is looked at before training: whether the data are what the recipe takes them for."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.batch import INDEX, RESERVED, assembled, of_batch
from fjdl.data.source import PARTS, Source, Splits
from fjdl.errors import DataError
from fjdl.train.recipe import Batch, Loss, Recipe

_BYTES = 2**26  # that are looked at together

Arrays = Mapping[str, np.ndarray]
Inputs = Callable[[Batch], Any]


def check_data(recipe: Recipe, splits: Splits) -> None:
    """Looks once at every example of the three parts, on the host; a streamed part is looked at while it is read.

    Raises `DataError` naming part, row and value for an example that breaks a requirement of the recipe's loss, such as
    the range of its labels, or whose numbers make the model's inputs NaN or infinite. A number that is not finite and
    that the inputs do not contain, or repair, is allowed.
    """
    for part in PARTS:
        source = getattr(splits, part)
        if not source.streamed:
            check_source(recipe, source, part=part)


def check_source(recipe: Recipe, source: Source, *, part: str) -> None:
    """`check_data` of one part whose examples are in memory."""
    size = max(1, sum(np.asarray(array).nbytes for array in source.element(0).values()))
    rows = max(1, _BYTES // size)
    for start in range(0, source.length, rows):
        indices = np.arange(start, min(start + rows, source.length))
        check_examples(source.element(indices), indices, inputs=recipe.inputs, loss=recipe.loss, part=part)


def checked(batches: Iterable[Arrays], *, inputs: Inputs, loss: Loss | None, part: str) -> Iterator[Arrays]:
    """The batches of a stream, each looked at before it goes on; raises `DataError` as `check_data` does."""
    for batch in batches:
        examples = {name: array for name, array in batch.items() if name not in RESERVED}
        check_examples(examples, batch[INDEX], inputs=inputs, loss=loss, part=part)
        yield batch


def check_examples(examples: Arrays, rows: np.ndarray, *, inputs: Inputs, loss: Loss | None, part: str) -> None:
    """`check_data` of some examples, whose numbers in the part are `rows`."""
    for name, rule, holds in getattr(loss, "requirements", ()):
        if name in examples:
            _require(np.asarray(holds(examples[name])), examples[name], rows, f"{name} must {rule}", part)
    finite = {name: np.isfinite(array) for name, array in examples.items() if _floating(array)}
    good = [_per_row(values) for values in finite.values()]
    suspects = np.flatnonzero(~np.stack(good).all(axis=0)) if good else np.zeros(0, int)
    if not suspects.size:
        return
    chosen = {name: array[suspects] for name, array in examples.items()}
    spoilt = ~_finite_inputs(inputs, chosen, rows[suspects])
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


def _finite_inputs(inputs: Inputs, examples: Arrays, rows: np.ndarray) -> np.ndarray:
    """Whether everything that the model sees of each example is finite."""
    with jax.transfer_guard("allow"):
        arrays = {name: jnp.asarray(array) for name, array in examples.items()}
        batch = assembled(arrays, jnp.asarray(rows, jnp.int32), jnp.ones(len(rows)))
        seen = jax.device_get(of_batch("inputs", inputs, batch))
    good = [_per_row(np.isfinite(leaf)) for leaf in jax.tree.leaves(seen) if _floating(leaf)]
    return np.all([np.ones(len(rows), bool), *good], axis=0)


def _per_row(values: np.ndarray) -> np.ndarray:
    return np.all(values.reshape(len(values), -1), axis=1)


def _floating(array: Any) -> bool:
    return jnp.issubdtype(np.asarray(array).dtype, jnp.inexact)
