"""Weights of PyTorch's recurrent layers as ours, and ours as theirs.

The gates have the same order in both, i, f, g, o of an LSTM and r, z, n of a GRU; kernels are transposed. PyTorch's
layers have two biases. Those of an LSTM and of a plain network are added when they are taken in; ours is written as the
first, beside a second of zeros. Those of a GRU are two in both. Serves `RNN`, `GRU` and `LSTM` without peepholes, with
any number of layers, both directions and projections, and their cells.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np

from fjdl import tree
from fjdl.errors import DataError
from fjdl.typing import PyTree

_KERNELS = {"input": "weight_ih", "recurrent": "weight_hh", "projection": "weight_hr"}


def recurrent_to_torch(params: PyTree, *, prefix: str = "") -> dict[str, np.ndarray]:
    """The state dict of `torch.nn.RNN`, `GRU` or `LSTM`, or of a cell, from the parameters of ours.

    Names begin with `prefix`, as in `"encoder."`. Raises `ValueError` for parameters that PyTorch's layers lack.
    """
    found: dict[str, np.ndarray] = {}
    for cell, ending in _cells(params):
        _require_known(cell)
        for part, name in _KERNELS.items():
            if part in cell:
                found[f"{prefix}{name}{ending}"] = np.ascontiguousarray(np.asarray(cell[part]["kernel"]).T)
        if "bias" in cell["input"]:
            bias = np.asarray(cell["input"]["bias"])
            found[f"{prefix}bias_ih{ending}"] = bias
            found[f"{prefix}bias_hh{ending}"] = np.asarray(cell["recurrent"].get("bias", np.zeros_like(bias)))
    return found


def recurrent_from_torch(tensors: Mapping[str, np.ndarray], params: PyTree, *, prefix: str = "") -> PyTree:
    """Our parameters with the values of a state dict of PyTorch, in the shapes and dtypes of `params`.

    `params` may be abstract, as `jax.eval_shape` gives them. Only tensors whose name begins with `prefix` count. Raises
    `DataError` for one that is missing, that has another shape, or that no parameter takes, and `ValueError` for
    parameters that PyTorch's layers lack.
    """
    own = {name.removeprefix(prefix): np.asarray(t) for name, t in tensors.items() if name.startswith(prefix)}
    values: dict[str, Any] = {}
    for cell, ending in _cells(params):
        _require_known(cell)
        taken = {part: {"kernel": _taken(own, f"{name}{ending}").T} for part, name in _KERNELS.items() if part in cell}
        if "bias" in cell["input"]:
            first, second = (_taken(own, f"bias_{kind}{ending}") for kind in ("ih", "hh"))
            two = "bias" in cell["recurrent"]
            taken["input"]["bias"] = first if two else first + second
            taken["recurrent"] |= {"bias": second} if two else {}
        values[ending] = taken
    if own:
        raise DataError(f"weights must be those of the layer, got {len(own)} unexpected, the first {min(own)!r}")
    whole = values[""] if _is_cell(params) else {_ours(ending): value for ending, value in values.items()}
    flat = dict(zip(tree.names(whole), jax.tree.leaves(whole), strict=True))
    return tree.map_named(lambda path, leaf: _fitting(path, flat[path], leaf), params)


def _is_cell(params: PyTree) -> bool:
    return "input" in params


def _cells(params: PyTree) -> Iterator[tuple[Any, str]]:
    """The parameters of each cell, and how the names of its tensors end: as `_l0`, `_l0_reverse`, or not at all."""
    if _is_cell(params):
        yield params, ""
    else:
        yield from ((cell, f"_l{name.removeprefix('layer')}") for name, cell in params.items())


def _ours(ending: str) -> str:
    return f"layer{ending.removeprefix('_l')}"


def _require_known(cell: Any) -> None:
    unknown = sorted(set(cell) - set(_KERNELS))
    if unknown:
        raise ValueError(f"params must be those of a layer that PyTorch has, got {unknown[0]!r} as well")


def _taken(tensors: dict[str, np.ndarray], name: str) -> np.ndarray:
    if name not in tensors:
        raise DataError(f"weights must be those of the layer, got none named {name!r}")
    return tensors.pop(name)


def _fitting(path: str, value: np.ndarray, leaf: Any) -> np.ndarray:
    if value.shape != leaf.shape:
        raise DataError(f"{path!r} must have the shape {tuple(leaf.shape)}, got {value.shape} from PyTorch's tensor")
    return value.astype(leaf.dtype, order="C")
