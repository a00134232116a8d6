"""Where things live: the state and the data on every device, a batch spread over them."""

from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from fjdl.errors import UsageError
from fjdl.typing import PyTree

AXIS = "data"


def make_mesh(devices: list[Any] | None = None) -> Mesh:
    """All local devices, or those given, on one axis."""
    return Mesh(np.asarray(devices or jax.local_devices()), (AXIS,), axis_types=(AxisType.Auto,))


def replicated(mesh: Mesh) -> NamedSharding:
    """A copy on each device."""
    return NamedSharding(mesh, PartitionSpec())


def along(mesh: Mesh) -> NamedSharding:
    """Each device its part of the first axis."""
    return NamedSharding(mesh, PartitionSpec(AXIS))


def spread(batch: PyTree, mesh: Mesh, *, axis: int = 0) -> PyTree:
    """Inside `jit`: each device takes its part of the batch along `axis`."""
    sharding = NamedSharding(mesh, PartitionSpec(*[None] * axis, AXIS))
    return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, sharding), batch)


def check_batch(batch_size: int, mesh: Mesh) -> None:
    """Raises `UsageError` for a batch that the devices cannot share equally."""
    if batch_size % mesh.size:
        raise UsageError(
            f"the micro-batch (batch_size / accumulate) must be a multiple of the {mesh.size} devices, got {batch_size}"
        )
