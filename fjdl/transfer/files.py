"""Weights on disk in the safetensors format, which holds arrays and text and nothing that could run."""

import os
from collections.abc import Mapping
from pathlib import Path

import jax
import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

from fjdl.errors import DataError, DataFormatError, StorageError
from fjdl.files import write_atomically
from fjdl.tree import names
from fjdl.typing import Array, PyTree

DTYPES = tuple(
    np.dtype(kind)
    for kind in (
        np.bool_, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64,
        ml_dtypes.bfloat16, np.float16, np.float32, np.float64, np.complex64,
        ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2,
    )
)  # fmt: skip


def save_safetensors(
    path: Path | str, tensors: PyTree, *, metadata: Mapping[str, str] | None = None, replace: bool = False
) -> None:
    """Writes the arrays of a dict under their names, row by row, and the text of `metadata`.

    Arrays deeper in a tree are written under the paths of `fjdl.tree.names`, such as `conv1/kernel`, and the parts of a
    quantized one as `conv1/kernel/values`, `conv1/kernel/scale` and, where there is one, `conv1/kernel/zero_point`.
    `restored` puts what was read back into such a tree.

    The file appears under its name only when it is complete and on the disk; folders that are missing are created. A
    file that is there stays unless `replace`. Equal tensors give equal bytes without metadata. Raises `ValueError`
    for a name or a text that is not a string, the name `__metadata__`, and a dtype other than booleans, integers of 8
    to 64 bits, float8_e4m3fn, float8_e5m2, bfloat16, float16 to float64 and complex64; raises `StorageError` where a
    file is in the way or cannot be written.
    """
    path = Path(path)
    arrays = {name: _array(name, tensor) for name, tensor in _named(tensors).items()}
    texts = dict(metadata or {})
    if not all(isinstance(text, str) for pair in texts.items() for text in pair):
        raise ValueError("metadata must map strings to strings, got something else")
    if not replace and os.path.lexists(path):
        raise StorageError(f"{path} must not exist unless replace=True, got a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error
    write_atomically(path, safetensors.numpy.save(arrays, texts or None))


def load_safetensors(path: Path | str) -> dict[str, np.ndarray]:
    """The arrays of a safetensors file by their names in sorted order.

    The header is checked against the size of the file before anything is allocated. Raises `DataError` where the file
    is missing or damaged, or holds a dtype that `save_safetensors` does not write.
    """
    with _opened(path) as file:
        names = sorted(file.keys())
        for name in names:
            if (kind := file.get_slice(name).get_dtype()) not in _CODES:
                raise DataFormatError(path, None, "tensors", f"have one of the types {', '.join(_CODES)}", f"{kind}")
        kinds = {name: file.get_slice(name).get_dtype() for name in names}
        short = _float8(path, kinds) if set(_FLOAT8) & set(kinds.values()) else {}
        return {name: short[name] if name in short else file.get_tensor(name) for name in names}


def read_metadata(path: Path | str) -> dict[str, str]:
    """The text that `save_safetensors` was given; raises `DataError` like `load_safetensors`."""
    with _opened(path) as file:
        return dict(file.metadata() or {})


_FLOAT8 = {"F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2}
_CODES = ("BOOL", "I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64", "BF16", "F16", "F32", "F64", "C64", *_FLOAT8)


def _float8(path: Path | str, kinds: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The arrays of float8, for which the library has a code and no type of NumPy."""
    parts = dict(safetensors.deserialize(Path(path).read_bytes()))
    return {
        name: np.frombuffer(parts[name]["data"], _FLOAT8[kind]).reshape(parts[name]["shape"])
        for name, kind in kinds.items()
        if kind in _FLOAT8
    }


def _opened(path: Path | str) -> "safetensors.safe_open":
    try:
        return safetensors.safe_open(path, framework="np")
    except (OSError, safetensors.SafetensorError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataFormatError(path, None, "", "be a readable safetensors file", f"{reason}") from error


def restored(tensors: Mapping[str, Array], like: PyTree) -> PyTree:
    """The arrays that `load_safetensors` read as a tree of the structure of `like`, whose leaves name them.

    `like` may be abstract: `jax.eval_shape(quantize_tree, …)` of abstract parameters. Raises `DataError` for an array
    that is missing or left over, or has another shape or dtype.
    """
    wanted = dict(zip(names(like), jax.tree.leaves(like), strict=True))
    if wanted.keys() != tensors.keys():
        odd = sorted(wanted.keys() ^ tensors.keys())
        raise DataError(f"the arrays must be those of the tree, got too few or too many: {odd}")
    for name, leaf in wanted.items():
        found = tensors[name]
        if (found.shape, found.dtype) != (leaf.shape, leaf.dtype):
            kinds = f"{leaf.dtype}{list(leaf.shape)}, got {found.dtype}{list(found.shape)}"
            raise DataError(f"tensor {name!r} must be {kinds}")
    return jax.tree.unflatten(jax.tree.structure(like), [tensors[name] for name in wanted])


def _named(tensors: PyTree) -> dict[str, Array]:
    """The leaves by their names; raises `ValueError` where two have the same one."""
    named: dict[str, Array] = {}
    for key, part in dict(tensors).items():
        if part is None:
            raise ValueError(f"tensor {key!r} must be an array, got None")
        for rest, leaf in zip(names(part), jax.tree.leaves(part), strict=True):
            name = f"{_name(key)}/{rest}" if rest else _name(key)
            if name in named:
                raise ValueError(f"names of tensors must differ, got {name!r} twice")
            named[name] = leaf
    return named


def _name(name: object) -> str:
    if not isinstance(name, str) or name == "__metadata__":
        raise ValueError(f"names of tensors must be strings other than '__metadata__', got {name!r}")
    return name


def _array(name: str, tensor: Array) -> np.ndarray:
    array = np.asarray(tensor)
    if array.dtype.newbyteorder("=") not in DTYPES:
        raise ValueError(f"tensor {name!r} must have a dtype of the format, got {array.dtype}")
    return array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
