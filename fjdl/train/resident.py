"""Data that lie on the devices as a whole: how they get there, and the batch of some of their rows."""

from collections.abc import Mapping
from typing import Any

import jax
from jax.sharding import Mesh

from fjdl.batch import assembled
from fjdl.data.batches import take
from fjdl.data.source import Source, to_arrays
from fjdl.errors import UsageError
from fjdl.train.mesh import replicated, spread
from fjdl.typing import Array

Arrays = Mapping[str, Array]
Row = tuple[Array, Array]  # the indices and the mask of one batch, as `fjdl.data.batches` makes them


def place(source: Source, mesh: Mesh) -> dict[str, Array]:
    """All examples on every device, in the data set's own dtypes; raises `UsageError` for a streamed source."""
    if source.streamed:
        raise UsageError("the data must fit on the device for this, got a source whose examples are streamed")
    return jax.device_put(to_arrays(source), replicated(mesh))


def length_of(arrays: Arrays) -> int:
    """The number of examples."""
    return next(iter(arrays.values())).shape[0]


def batch_of(arrays: Arrays, row: Row, mesh: Mesh, *, epoch: Any = 0) -> dict[str, Array]:
    """Inside `jit`: the batch of the examples in a row, spread over the devices."""
    with jax.named_scope("inputs"):
        indices, mask = spread(row, mesh)
        return assembled(take(arrays, indices), indices, mask, epoch=epoch)
