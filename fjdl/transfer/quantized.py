"""Quantized trees in safetensors files that say in their metadata how each array is to be read."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from fjdl.errors import DataError
from fjdl.quant import Quantized, is_quantized, require
from fjdl.transfer.files import load_safetensors, read_metadata, save_safetensors
from fjdl.tree import whole_name
from fjdl.typing import PyTree

KEY = "quantization"  # of the metadata
PARTS = ("values", "scale", "zero_point")


def save_quantized(
    path: Path | str, tree: PyTree, *, metadata: Mapping[str, str] | None = None, replace: bool = False
) -> None:
    """Writes nested dictionaries of arrays and `quant.Quantized`, for `load_quantized`, which needs nothing else.

    The file is that of `save_safetensors` with one more text in its metadata, "quantization": `quantized_forms` of the
    tree in JSON. Raises as `save_safetensors` does, and `ValueError` where `metadata` has this key and for JAX's int4
    and int2, which the format lacks: `quant.store_tree(tree, form="packed")` is as small.
    """
    texts = dict(metadata or {})
    if KEY in texts:
        raise ValueError(f"metadata must not have the key {KEY!r}, which says how arrays are quantized, got it")
    forms = json.dumps(quantized_forms(tree), separators=(",", ":"))
    save_safetensors(path, tree, metadata={**texts, KEY: forms}, replace=replace)


def load_quantized(path: Path | str) -> dict[str, Any]:
    """The nested dictionaries that `save_quantized` wrote, with arrays of NumPy, bit for bit.

    Names are taken apart at each `/`, so a sequence comes back as a dictionary with the keys "0", "1" and so on. Raises
    `DataError` where the file is missing or damaged, and where its metadata and its arrays do not fit each other or the
    invariants of `quant.Quantized`.

    >>> import tempfile
    >>> from fjdl import quant
    >>> small = quant.absmax_quantize(jax.numpy.array([1.0, -2.1, 4.0]), bits=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_quantized(f"{folder}/w.safetensors", {"kernel": small})
    ...     back = load_quantized(f"{folder}/w.safetensors")["kernel"]
    >>> back.bits, back.shape, quant.integers(back)
    (4, (3,), Array([ 2, -4,  7], dtype=int8))
    """
    arrays, text = load_safetensors(path), read_metadata(path).get(KEY)
    if text is None:
        raise DataError(f"{path} must be a file of `save_quantized`, got no {KEY!r} in its metadata")
    leaves: dict[str, Any] = dict(arrays)
    try:
        for name, form in _forms(text).items():
            parts = {part: leaves.pop(f"{name}/{part}") for part in PARTS if f"{name}/{part}" in leaves}
            leaves[name] = _read(name, form, parts)
        return _nested(leaves)
    except ValueError as error:
        raise DataError(f"{path} is damaged: {error}") from None


def quantized_forms(tree: PyTree) -> dict[str, dict[str, Any]]:
    """What arrays alone do not say of each quantized one, by its name in a file, as numbers and lists for JSON.

    "bits", the "shape" of the original, whether its integers are "packed", and "levels" where it has them.
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree, is_leaf=is_quantized)
    return {whole_name(path): _form(leaf) for path, leaf in leaves if is_quantized(leaf)}


def _form(quantized: Quantized) -> dict[str, Any]:
    levels = {} if quantized.levels is None else {"levels": list(quantized.levels)}
    packed = quantized.columns is not None
    return {"bits": quantized.bits, "shape": list(quantized.shape), "packed": packed, **levels}


def _forms(text: str) -> dict[str, Any]:
    try:
        forms = json.loads(text)
    except (ValueError, RecursionError):
        forms = None
    if not isinstance(forms, dict):
        raise ValueError(f"{KEY!r} of its metadata must be an object in JSON, got {_short(text)}")
    return forms


def _read(name: str, form: Any, parts: Mapping[str, np.ndarray]) -> Quantized:
    if not isinstance(form, dict) or not {"bits", "shape", "packed"} <= form.keys() <= {
        "bits", "shape", "packed", "levels",
    }:  # fmt: skip
        raise ValueError(f"the form of {name!r} must have bits, shape, packed and perhaps levels, got {_short(form)}")
    bits, shape, packed, levels = form["bits"], form["shape"], form["packed"], form.get("levels")
    if type(bits) is not int or type(packed) is not bool or not _is_shape(shape) or (packed and not shape):
        raise ValueError(f"the form of {name!r} must be of integers and a truth value, got {_short(form)}")
    if levels is not None and not _are_levels(levels):
        raise ValueError(f"the levels of {name!r} must be ascending finite numbers, got {_short(levels)}")
    if missing := {"values", "scale"} - parts.keys():
        raise ValueError(f"{name!r} must have values and a scale, got no {sorted(missing)[0]}")
    small = _quantized(
        parts, bits=bits, columns=shape[-1] if packed else None, levels=None if levels is None else tuple(levels)
    )
    _check(name, small, shape)
    return small


def _quantized(parts: Mapping[str, Any], **options: Any) -> Quantized:
    return Quantized(parts["values"], parts["scale"], parts.get("zero_point"), **options)


def _check(name: str, small: Quantized, shape: list[int]) -> None:
    """Raises `ValueError` where shapes, dtypes or numbers break an invariant."""
    try:
        require(small)
    except ValueError as error:
        raise ValueError(f"{name!r}: {error}") from None
    if small.shape != tuple(shape):
        raise ValueError(f"{name!r} must have the shape {shape} of its form, got {list(small.shape)}")
    scale, zeros, values = (np.asarray(part) for part in (small.scale, small.zero_point, small.values))
    if not np.all(np.isnan(scale) | ((scale >= np.finfo(np.float32).tiny) & (scale < np.inf))):
        raise ValueError(f"the scale of {name!r} must be positive, got {scale.min()}")
    if small.zero_point is not None and not np.all(np.isnan(zeros) | (zeros == np.rint(zeros))):
        raise ValueError(f"the zero point of {name!r} must be whole numbers, got others")
    top = 2 ** (small.bits - 1)
    if values.dtype == np.int8 and values.size and not -top <= values.min() <= values.max() < top:
        raise ValueError(f"the integers of {name!r} must lie in [{-top}, {top}), got {values.min()} to {values.max()}")


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, list) and all(type(length) is int and length >= 0 for length in shape)


def _are_levels(levels: Any) -> bool:
    numbers = isinstance(levels, list) and all(type(level) is float and math.isfinite(level) for level in levels)
    return numbers and levels == sorted(set(levels))


def _nested(leaves: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dictionaries of leaves by their names; raises `ValueError` where a leaf stands inside of another one."""
    tree: dict[str, Any] = {}
    for name, leaf in sorted(leaves.items()):
        *folders, last = name.split("/")
        place = tree
        for folder in folders:
            place = place.setdefault(folder, {})
            if not isinstance(place, dict):
                raise ValueError(f"{name!r} must not be a part of another array, got one that is")
        if last in place:
            raise ValueError(f"names of arrays must differ, got {name!r} twice")
        place[last] = leaf
    return tree


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
