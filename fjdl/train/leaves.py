"""The arrays of a tree by their paths: what a checkpoint can hold, whether two trees fit, where an array goes."""

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fjdl import tree as trees
from fjdl.errors import CheckpointError
from fjdl.train.array_files import DTYPES
from fjdl.train.mesh import from_host
from fjdl.typing import PyTree


def named_leaves(tree: PyTree) -> dict[str, Any]:
    """The arrays of a tree by their paths; raises `ValueError` naming one that no checkpoint can hold."""
    leaves: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = trees.whole_name(path)
        keys = [entry.key for entry in path if isinstance(entry, jax.tree_util.DictKey)]
        if name in leaves or any(re.search("[./]", str(key)) for key in keys):
            raise ValueError(f"keys must be distinct and free of '.' and '/', got the leaf {name}")
        if not any(jnp.issubdtype(getattr(leaf, "dtype", object), kind) for kind in (np.number, np.bool_)):
            raise ValueError(f"every leaf must be an array of numbers, got {type(leaf).__name__} at {name}")
        if 0 in leaf.shape:
            raise ValueError(f"every leaf must have at least one element, got shape {leaf.shape} at {name}")
        leaves[name] = leaf
    if not leaves:
        raise ValueError("tree must have at least one leaf, got none")
    return leaves


def host_arrays(tree: PyTree) -> dict[str, np.ndarray]:
    """The arrays of a tree by their paths, on the host; raises `ValueError` naming one that is not whole here."""
    leaves = named_leaves(tree)
    for name, leaf in leaves.items():
        if isinstance(leaf, jax.Array) and not (leaf.is_fully_addressable or leaf.is_fully_replicated):
            raise ValueError(f"every leaf must be whole in this process, got {leaf.sharding} at {name}")
        if (dtype := np.dtype(leaf.dtype).name) not in DTYPES:
            raise ValueError(f"every leaf must have a dtype that checkpoints can hold, got {dtype} at {name}")
    return {name: np.asarray(leaf) for name, leaf in jax.device_get(leaves).items()}


def dtype_of(leaf: Any) -> np.dtype:
    """The dtype that an array has when it comes back: 64 bits are cut off for JAX, and not for NumPy."""
    return leaf.dtype if isinstance(leaf, np.ndarray | np.generic) else jax.dtypes.canonicalize_dtype(leaf.dtype)


def describe(shape: Sequence[int], dtype: Any) -> str:
    """The kind of an array in words."""
    return f"{np.dtype(dtype).name} ({', '.join(map(str, shape))})"


def compare(saved: dict[str, str], wanted: dict[str, str], *, where: Path) -> None:
    """Raises with one row for each leaf that is not on both sides alike."""
    rows = [("path", "saved", "wanted")]
    for path in [path for path in {**wanted, **saved} if saved.get(path) != wanted.get(path)]:
        close = difflib.get_close_matches(path, saved, n=1) if path not in saved else []
        rows.append(
            (path, saved.get(path, f"nothing, closest {close[0]}" if close else "nothing"), wanted.get(path, "nothing"))
        )
    if len(rows) > 1:
        widths = [max(len(row[column]) for row in rows) for column in range(2)]
        lines = (f"{path:{widths[0]}} | {left:{widths[1]}} | {right}" for path, left, right in rows)
        raise CheckpointError(f"{where} does not fit:\n" + "\n".join(lines))


def place(arrays: PyTree, like: PyTree) -> PyTree:
    """Arrays of the host on the devices of their counterparts in `like`; those of NumPy's stay where they are."""
    return jax.tree.map(_place, arrays, like)


def _place(array: np.ndarray, leaf: Any) -> Any:
    if isinstance(leaf, np.ndarray | np.generic):
        return array
    if getattr(leaf, "sharding", None) is None or not getattr(leaf, "committed", True):
        return jax.device_put(array)
    return from_host(array, leaf.sharding)
