"""Trees to save, and what is in a folder."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec


class Pair(NamedTuple):
    count: Any
    moments: Any


def small(value: float = 1.0) -> dict[str, Any]:
    return {"params": {"kernel": np.full((3, 4), value, np.float32), "bias": np.zeros(4, np.float32)}}


def rich() -> dict[str, Any]:
    mesh = jax.make_mesh((8,), ("data",))
    return {
        "bfloat16": jnp.asarray([1.5, jnp.nan, -0.0, jnp.inf], jnp.bfloat16),
        "float32": jnp.asarray([[jnp.nan, -0.0, 1e-45]]),
        "special_nan": np.array([0x7FC12345], np.uint32).view(np.float32),
        "float8": np.array([0.5, -1.0], ml_dtypes.float8_e4m3fn),
        "float64": np.array([0.1, 1 / 3]),
        "int64": np.array(2**53 + 1),
        "int8": jnp.asarray([-128, 127], jnp.int8),
        "optimizer": (Pair(jnp.asarray(3, jnp.int32), [jnp.ones((2, 3)), None]), ()),
        "pixels": np.arange(256, dtype=np.uint8),
        "mask": jnp.asarray([True, False]),
        "flag": jnp.asarray(True),
        "sharded": jax.device_put(jnp.arange(16.0), NamedSharding(mesh, PartitionSpec("data"))),
        "replicated": jax.device_put(jnp.arange(3.0), NamedSharding(mesh, PartitionSpec())),
    }


def assert_identical(actual: Any, expected: Any) -> None:
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        assert isinstance(a, type(b))
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def all_files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())
