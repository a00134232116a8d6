"""Weights of PyTorch networks as ours, and ours as theirs: names and axes."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np

from fjdl import tree
from fjdl.errors import DataError
from fjdl.typing import PyTree

Replacement = str | Callable[[re.Match[str]], str]

_LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
COUNTER = "num_batches_tracked"  # of PyTorch's batch norm; we have no use for it


class Layout(NamedTuple):
    """What a network's parts are called in a PyTorch state dict, and which of its dense layers follow a flatten.

    `renames` are pairs of a regex and a replacement, as for `re.sub`: the first whose regex matches a part's whole
    path, as in `stage1/block0/conv1`, gives its PyTorch name, as in `layer1.0.conv1`. One that matches path and leaf,
    as in `stage1/scale/gamma`, gives the whole key. PyTorch flattens channels first, we flatten them last; so
    `flattened` names each dense layer behind a flatten and the rows and columns of the image that it flattens.
    `images` is a regex of the paths of vectors that PyTorch holds as images of one pixel, `[channels, 1, 1]`.
    """

    renames: tuple[tuple[str, Replacement], ...]
    flattened: Mapping[str, tuple[int, int]] = {}
    images: str = ""

    def key(self, path: str) -> str:
        """The PyTorch name of a parameter or statistic; raises `ValueError` where no regex matches."""
        part, _, leaf = path.rpartition("/")
        for pattern, replacement in self.renames:
            for text, ending in ((part, f".{_LEAVES.get(leaf, leaf)}"), (path, "")):
                match = re.fullmatch(pattern, text)
                if match:
                    return (match.expand(replacement) if isinstance(replacement, str) else replacement(match)) + ending
        raise ValueError(f"every part must match a rule of the layout, got {path!r}")


def to_torch(params: PyTree, stats: PyTree, layout: Layout) -> dict[str, np.ndarray]:
    """A PyTorch state dict of numpy arrays: kernels `[out, in, rows, columns]` and `[out, in]`, channels first.

    Counters of batches are left out: PyTorch's `load_state_dict` wants `strict=False` for them, or zeros.
    """
    leaves = _leaves(params, stats)
    keys = _keys([path for path, _ in leaves], layout)
    return {key: _outward(path, np.asarray(leaf), layout) for key, (path, leaf) in zip(keys, leaves, strict=True)}


def from_torch(
    tensors: Mapping[str, np.ndarray], params: PyTree, stats: PyTree, layout: Layout
) -> tuple[PyTree, PyTree]:
    """Parameters and statistics with the values of a PyTorch state dict, in the shapes and dtypes of the given ones.

    `params` and `stats` may be abstract, as `jax.eval_shape` gives them. Raises `DataError` for a tensor that is
    missing, that has another shape, or that no parameter takes.
    """
    keys = _keys([path for path, _ in _leaves(params, stats)], layout)
    spare = sorted(name for name in set(tensors) - set(keys) if not name.endswith(COUNTER))
    missing = [key for key in keys if key not in tensors]
    for what, names in (("missing", missing), ("unexpected", spare)):
        if names:
            raise DataError(f"weights must be those of the network, got {len(names)} {what}, the first {names[0]!r}")

    def value(path: str, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        return inward(path, np.asarray(tensors[layout.key(path)]), leaf, layout)

    return tree.map_named(value, params), _map_statistics(value, stats)


def _leaves(params: PyTree, stats: PyTree) -> list[tuple[str, jax.Array]]:
    """Parameters and statistics by the path of their part; the collection's name is left out of the latter."""
    found = list(zip(tree.names(params), jax.tree.leaves(params), strict=True))
    for collection in stats.values():
        found += zip(tree.names(collection), jax.tree.leaves(collection), strict=True)
    return found


def _keys(paths: Sequence[str], layout: Layout) -> list[str]:
    """The PyTorch name of each; raises `ValueError` where two have the same."""
    homes: dict[str, str] = {}
    for path in paths:
        other = homes.setdefault(layout.key(path), path)
        if other != path:
            raise ValueError(f"parts must have names of their own, got {layout.key(path)!r} for {other!r} and {path!r}")
    return list(homes)


def _map_statistics(function: Callable[..., np.ndarray], stats: PyTree) -> PyTree:
    return {name: tree.map_named(function, collection) for name, collection in stats.items()}


def _outward(path: str, leaf: np.ndarray, layout: Layout) -> np.ndarray:
    part, _, name = path.rpartition("/")
    if name != "kernel":
        return leaf[:, None, None] if re.fullmatch(layout.images, path) else leaf
    if part in layout.flattened:
        leaf = leaf.reshape(*layout.flattened[part], -1, leaf.shape[-1])
        return np.ascontiguousarray(leaf.transpose(3, 2, 0, 1)).reshape(leaf.shape[-1], -1)
    return np.ascontiguousarray(np.moveaxis(leaf, (-1, -2), (0, 1)))


def inward(path: str, tensor: np.ndarray, leaf: jax.ShapeDtypeStruct, layout: Layout) -> np.ndarray:
    """One tensor of PyTorch as the parameter or statistic of this path; raises `DataError` for another shape."""
    array = tensor.reshape(-1) if re.fullmatch(layout.images, path) else tensor
    part, _, name = path.rpartition("/")
    if name == "kernel" and tensor.ndim >= 2:
        if part in layout.flattened and tensor.shape == leaf.shape[::-1]:
            array = tensor.reshape(tensor.shape[0], -1, *layout.flattened[part]).transpose(2, 3, 1, 0)
            array = array.reshape(-1, tensor.shape[0])
        else:
            array = np.moveaxis(tensor, (0, 1), (-1, -2))
    if array.shape != leaf.shape:
        raise DataError(
            f"{layout.key(path)!r} must have the shape of {path!r}, {tuple(leaf.shape)} in our order of axes, "
            f"got {tensor.shape}"
        )
    return array.astype(leaf.dtype, order="C")
