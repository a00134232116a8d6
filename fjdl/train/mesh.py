"""Where things live: devices in a mesh, data and batches spread over it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental.mesh_utils import create_device_mesh
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec, Sharding

from fjdl.errors import UsageError
from fjdl.typing import PyTree

AXES = ("replica", "data", "model")  # that a mesh may have
ALL = {"data": -1}  # every device on one axis


def make_mesh(devices: Sequence[Any] | None = None, *, axes: Mapping[str, int] = ALL) -> Mesh:
    """The devices of all processes, or those given, on the axes of these sizes, of which one may be -1 for the rest.

    Raises `UsageError` for names other than those of `AXES`, and for sizes that do not fit the devices.
    """
    chosen = list(jax.devices() if devices is None else devices)
    sizes = sizes_of(axes, len(chosen))
    arranged = np.asarray(chosen) if len(sizes) == 1 else create_device_mesh(sizes, chosen)
    return Mesh(arranged, tuple(axes), axis_types=(AxisType.Auto,) * len(sizes))


def check_axes(axes: Mapping[str, int]) -> None:
    """Raises `UsageError` unless these are names and sizes of a mesh, whatever the devices are."""
    unknown = [name for name in axes if name not in AXES]
    if unknown or "data" not in axes:
        raise UsageError(f"axes of a mesh must be 'data' and others of {list(AXES)}, got {list(axes)}")
    sizes = list(axes.values())
    if any(size < 1 and size != -1 for size in sizes) or sizes.count(-1) > 1:
        raise UsageError(f"sizes of axes must be at least 1, and one may be -1, got {dict(axes)}")


def batch_axes(mesh: Mesh) -> tuple[str, ...]:
    """The axes that share the examples of a batch; devices along the others see the same ones."""
    return tuple(name for name in mesh.axis_names if name != "model")


def ways(mesh: Mesh) -> int:
    """The number of parts of a batch."""
    return math.prod(mesh.shape[name] for name in batch_axes(mesh))


def replicated(mesh: Mesh) -> NamedSharding:
    """A copy on each device."""
    return NamedSharding(mesh, PartitionSpec())


def along(mesh: Mesh) -> NamedSharding:
    """Each device its part of the first axis."""
    return NamedSharding(mesh, PartitionSpec(batch_axes(mesh)))


def spread(batch: PyTree, mesh: Mesh, *, axis: int = 0) -> PyTree:
    """Inside `jit`: each device takes its part of the batch along `axis`."""
    sharding = NamedSharding(mesh, PartitionSpec(*[None] * axis, batch_axes(mesh)))
    return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, sharding), batch)


def from_host(array: np.ndarray, sharding: Sharding) -> jax.Array:
    """The array on the devices of a sharding, each its part, also where those of other processes have parts of it."""
    with jax.transfer_guard_host_to_device("allow"):
        return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])


def on_all(numbers: Sequence[int], mesh: Mesh) -> jax.Array:
    """Integers of the host on each device, also on those of other processes, which have the same."""
    array, everywhere = np.asarray(numbers, np.int32), replicated(mesh)
    if everywhere.is_fully_addressable:
        return jax.device_put(array, everywhere)
    return from_host(array, everywhere)


def check_batch(batch_size: int, mesh: Mesh) -> None:
    """Raises `UsageError` for a batch that the devices cannot share equally."""
    if batch_size % ways(mesh):
        shared = f"{mesh.size} devices" if ways(mesh) == mesh.size else f"{ways(mesh)} parts of a batch on this mesh"
        raise UsageError(
            f"the micro-batch (batch_size / accumulate) must be a multiple of the {shared}, got {batch_size}"
        )


def sizes_of(axes: Mapping[str, int], devices: int) -> tuple[int, ...]:
    """The sizes of the axes of a mesh of so many devices; raises `UsageError` where they do not fit."""
    check_axes(axes)
    known = math.prod(size for size in axes.values() if size != -1)
    sizes = tuple(devices // known if size == -1 else size for size in axes.values())
    if math.prod(sizes) != devices:
        raise UsageError(f"the mesh must have a place for each of the {devices} devices, got {dict(axes)}")
    return sizes
