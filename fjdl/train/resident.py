"""Data that lie on the devices as a whole: how they get there, and the batch of some of their examples."""

import dataclasses
import math
from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh

from fjdl.batch import assembled
from fjdl.data.batches import take
from fjdl.data.orders import Order
from fjdl.data.source import Source, to_arrays
from fjdl.errors import UsageError
from fjdl.train.mesh import along, batch_axes, replicated, spread, ways
from fjdl.typing import Array

Row = tuple[Array, Array]  # the indices and the mask of one batch, as `fjdl.data.batches` makes them
Where = Literal["auto", "replicated", "sharded"]

COPIED = 2**30  # the most bytes of which "auto" gives every device a copy
_LANES, _PADDED_FROM = 128, 512  # TPUs hold rows in multiples of so many numbers; shorter ones would grow by a quarter


@partial(jax.tree_util.register_dataclass, data_fields=["rows"], meta_fields=["shapes", "length", "sharded"])
@dataclasses.dataclass(frozen=True)
class Resident:
    """The examples of a data set on the devices, each array of an example as one row of numbers.

    An image [h, w, c] as it is would be padded on a TPU, whose last axis has multiples of 128: CIFAR-10 took five times
    its bytes.
    """

    rows: dict[str, Any]  # by name [length, numbers], or [length] of scalars
    shapes: tuple[tuple[str, tuple[int, ...]], ...]  # by name, of one example
    length: int  # number of examples; rows of zeros may follow, so that all devices have equally many
    sharded: bool  # each device holds its part of the rows, in the order of the mesh


Arrays = Resident | Mapping[str, Array]  # in a mapping examples lie along the first axis of each array, on every device


def place(source: Source, mesh: Mesh, *, resident: Where = "auto") -> Resident:
    """All examples on the devices, in the data set's own dtypes.

    Each device holds all of them ("replicated") or its part ("sharded"), and every batch is collected from the parts:
    the same examples in the same order. "auto" means a part where a copy takes more than 1 GiB. Raises `UsageError` for
    a streamed source.
    """
    if source.streamed:
        raise UsageError("the data must fit on the device for this, got a source whose examples are streamed")
    plan, arrays = abstract(source, mesh, resident=resident), to_arrays(source)
    return dataclasses.replace(plan, rows={name: _put(arrays[name], row) for name, row in plan.rows.items()})


def abstract(source: Source, mesh: Mesh, *, resident: Where = "auto") -> Resident:
    """What `place` gives, with the shapes, dtypes and shardings of its arrays in their place, by the first example."""
    example = {name: np.asarray(array) for name, array in source.element(0).items()}
    sharded = _is_sharded(resident, source.length * sum(array.nbytes for array in example.values()), mesh)
    length = -(-source.length // ways(mesh)) * ways(mesh) if sharded else source.length
    placed = along(mesh) if sharded else replicated(mesh)

    def row(array: np.ndarray) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(
            (length, *width(array.shape, mesh)), jax.dtypes.canonicalize_dtype(array.dtype), sharding=placed
        )

    return Resident(
        rows={name: row(array) for name, array in example.items()},
        shapes=tuple((name, array.shape) for name, array in example.items()),
        length=source.length,
        sharded=sharded,
    )


def check_resident(resident: str) -> None:
    """Raises `UsageError` for a way of placing data that there is not."""
    if resident not in get_args(Where):
        raise UsageError(f"resident must be one of {list(get_args(Where))}, got {resident!r}")


def width(shape: tuple[int, ...], mesh: Mesh) -> tuple[int, ...]:
    """The shape of an example's row, none for a scalar; on TPUs long ones fill all lanes, else the set is copied."""
    numbers = math.prod(shape)
    if shape and numbers >= _PADDED_FROM and mesh.devices.flat[0].platform == "tpu":
        numbers = -(-numbers // _LANES) * _LANES
    return (numbers,) if shape else ()


def length_of(arrays: Arrays) -> int:
    """The number of examples."""
    return arrays.length if isinstance(arrays, Resident) else next(iter(arrays.values())).shape[0]


def first_of(arrays: Arrays) -> dict[str, Array]:
    """The first example."""
    if not isinstance(arrays, Resident):
        return {name: array[0] for name, array in arrays.items()}
    return {name: _shaped(arrays.rows[name][:1], shape)[0] for name, shape in arrays.shapes}


def batch_of(arrays: Arrays, row: Row, mesh: Mesh, *, order: Order, epoch: Any = 0) -> dict[str, Array]:
    """Inside `jit`: the batch of the examples in a row, spread over the devices."""
    with jax.named_scope("inputs"):
        indices, mask = spread(row, mesh)
        begins = order.begins(indices, length=length_of(arrays)) if order.carries else None
        if not isinstance(arrays, Resident):
            return assembled(take(arrays, indices), indices, mask, epoch=epoch, begins=begins)
        rows = _collected(arrays.rows, row[0], mesh) if arrays.sharded else _taken(arrays.rows, indices)
        examples = {name: _shaped(rows[name], shape) for name, shape in arrays.shapes}
        return assembled(examples, indices, mask, epoch=epoch, begins=begins)


def _is_sharded(resident: Where, size: int, mesh: Mesh) -> bool:
    check_resident(resident)
    return ways(mesh) > 1 and (size > COPIED if resident == "auto" else resident == "sharded")


def _put(array: np.ndarray, row: jax.ShapeDtypeStruct) -> Array:
    """The array as rows of that shape; no device, and no copy on the host, holds more than its part of them."""
    flat = array.reshape(len(array), *[math.prod(array.shape[1:])] * (len(row.shape) - 1))
    if row.sharding.is_fully_replicated and row.sharding.is_fully_addressable:
        return jax.device_put(_padded(flat, row.shape), row.sharding)

    def part(index: Any) -> np.ndarray:
        start, stop, _ = index[0].indices(row.shape[0])
        return _padded(flat[start:stop], (stop - start, *row.shape[1:])).astype(row.dtype, copy=False)

    return jax.make_array_from_callback(row.shape, row.sharding, part)


def _padded(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The array with zeros behind it along each axis, up to that shape."""
    missing = [(0, whole - part) for whole, part in zip(shape, array.shape, strict=True)]
    return np.pad(array, missing) if array.shape != shape else array


def _shaped(rows: Array, shape: tuple[int, ...]) -> Array:
    """Examples of this shape from their rows."""
    return rows[:, : math.prod(shape)].reshape(len(rows), *shape) if shape else rows


def _taken(rows: Mapping[str, Array], indices: Array) -> dict[str, Array]:
    return {name: array.at[indices].get(mode="promise_in_bounds") for name, array in rows.items()}


def _collected(rows: Mapping[str, Array], indices: Array, mesh: Mesh) -> dict[str, Array]:
    """Rows from whatever device holds each: all add what they have, 0 for others', and each receives its part.

    What is added are integers, so that −0 and NaN arrive bit for bit.
    """

    axes = batch_axes(mesh)

    def local(rows: dict[str, Array], indices: Array) -> dict[str, Array]:
        held = next(iter(rows.values())).shape[0]
        places = indices - lax.axis_index(axes) * held
        here = (places >= 0) & (places < held)
        found = {name: _bits(array) for name, array in _taken(rows, jnp.clip(places, 0, held - 1)).items()}
        mine = {name: jnp.where(here.reshape(-1, *[1] * (x.ndim - 1)), x, 0) for name, x in found.items()}
        return {name: lax.psum_scatter(x, axes, scatter_dimension=0, tiled=True) for name, x in mine.items()}

    specs = (along(mesh).spec, replicated(mesh).spec)
    bits = jax.shard_map(local, mesh=mesh, in_specs=specs, out_specs=along(mesh).spec)(dict(rows), indices)
    return {name: _of_bits(bits[name], array.dtype) for name, array in rows.items()}


def _bits(x: Array) -> Array:
    if x.dtype == jnp.bool_:
        return x.astype(jnp.uint8)
    return lax.bitcast_convert_type(x, f"uint{8 * x.dtype.itemsize}") if jnp.issubdtype(x.dtype, jnp.floating) else x


def _of_bits(x: Array, dtype: Any) -> Array:
    return x.astype(dtype) if dtype == jnp.bool_ else x if x.dtype == dtype else lax.bitcast_convert_type(x, dtype)
