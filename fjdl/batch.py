"""The entries of a batch that training adds to the arrays of a data set, which must not have them itself."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np

from fjdl.errors import UsageError

INDEX = "index"  # [batch], int32: the number of each example in its part of the data
EPOCH = "epoch"  # [batch], int32, from 0
EXAMPLE_MASK = "example_mask"  # [batch], float32: 1 for an example, 0 for one that only fills up the last batch
BEGINS = "begins"  # [batch], bool: whether an example begins a sequence; only where sequences span batches

RESERVED = (INDEX, EPOCH, EXAMPLE_MASK, BEGINS)

Result = TypeVar("Result")


def assembled(
    examples: Mapping[str, Any], indices: Any, mask: Any, *, epoch: Any = 0, begins: Any = None
) -> dict[str, Any]:
    """The batch of some examples: their arrays, and the reserved entries beside them.

    `indices` are the int32 numbers of the examples in their part of the data, `mask` is 1 for each that counts, `epoch`
    is counted from 0, `begins` is there where sequences span batches. Raises `UsageError` for an array of the data set
    under a reserved name.
    """
    for name in RESERVED:
        if name in examples:
            raise UsageError(f"an array of the data must not be called {name!r}, which training provides, rename it")
    full_like = np.full_like if isinstance(indices, np.ndarray) else jnp.full_like
    sequences = {} if begins is None else {BEGINS: begins}
    return {**examples, INDEX: indices, EPOCH: full_like(indices, epoch), EXAMPLE_MASK: mask, **sequences}


def alone(example: Mapping[str, Any]) -> dict[str, Any]:
    """The batch of one example, number 0 of epoch 0."""
    arrays = {name: jnp.asarray(array)[None] for name, array in example.items()}
    return assembled(arrays, jnp.zeros(1, jnp.int32), jnp.ones(1))


def of_batch(name: str, function: Callable[..., Result], *args: Any) -> Result:
    """The result of a function of arguments of which the last is a batch; `name` is what a recipe calls it.

    Raises `UsageError` with the keys that the batch has where the function asks it for another one. A `KeyError` of any
    other dictionary passes through.
    """
    try:
        return function(*args)
    except KeyError as error:
        *others, batch = args
        if _missing(lambda watched: function(*others, watched), batch):
            listed = ", ".join(map(repr, sorted(batch, key=lambda key: (key in RESERVED, key))))
            raise UsageError(f"{name} must use the keys of a batch, {listed}, got {error}") from error
        raise


class _Missing(Exception):
    """A key that a watched batch does not have."""


class _Watched(dict[str, Any]):
    def __missing__(self, key: str) -> Any:
        raise _Missing(key)


def _missing(function: Callable[[Any], Any], batch: Mapping[str, Any]) -> bool:
    """Whether the function asks the batch itself for a key that it does not have."""
    try:
        function(_Watched(batch))
    except _Missing:
        return True
    except Exception:
        return False
    return False
