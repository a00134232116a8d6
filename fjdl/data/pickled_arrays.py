"""NumPy arrays in pickles, read without running anything that a pickle names."""

import io
import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from fjdl.data.pickles import read_pickle, short
from fjdl.errors import DataFormatError

MOST_AXES = 8


def read_array_pickle(data: bytes, *, path: Path | str) -> dict[bytes, Any]:
    """The pickled dictionary of numbers, strings, lists and NumPy arrays, its keys as bytes.

    Arrays hold booleans or numbers of at most 8 bytes; they are read-only and in the machine's byte order. Raises
    `DataError` for anything else.
    """
    stream = io.BytesIO(data)
    content = read_pickle(stream, path=path, known=_numpy_globals(path))
    if stream.read(1):
        raise DataFormatError(path, None, "the file", "end after one pickle", "more bytes")
    if not isinstance(content, dict) or not all(isinstance(key, str | bytes) for key in content):
        raise DataFormatError(
            path, None, "the pickle", "be a dictionary with names as keys", f"{type(content).__name__}"
        )
    named = {key.encode() if isinstance(key, str) else key: value for key, value in content.items()}
    return {key: value.array() if isinstance(value, _PickledArray) else value for key, value in named.items()}


class _PickledType:
    """A NumPy dtype on its way out of a pickle."""

    def __init__(self, path: Path | str, code: Any, *flags: Any) -> None:
        code = code.decode("latin-1") if isinstance(code, bytes) else code
        if not isinstance(code, str) or not re.fullmatch(r"b1|[iu][1248]|f[248]|c8", code):
            raise DataFormatError(path, None, "an array", "hold booleans or numbers", f"type {short(code)}")
        self.dtype = np.dtype(code)

    def build(self, state: Any) -> None:
        if state[1] in (">", b">"):
            self.dtype = self.dtype.newbyteorder(">")


class _PickledArray:
    """A NumPy array on its way out of a pickle; nothing is allocated beyond the bytes that the file has."""

    def __init__(self, path: Path | str) -> None:
        self.path = path
        self.state: tuple[tuple[int, ...], np.dtype, str, bytes] | None = None

    def build(self, state: Any) -> None:
        _, shape, kind, fortran, data = state
        integers = isinstance(shape, tuple) and all(type(size) is int and 0 <= size < 2**63 for size in shape)
        if not integers or len(shape) > MOST_AXES or not isinstance(kind, _PickledType) or not isinstance(data, bytes):
            raise DataFormatError(self.path, None, "an array", "have a shape, a type and bytes", "something else")
        expected = math.prod(shape) * kind.dtype.itemsize
        if len(data) != expected:
            shown = short(str(list(shape)))
            raise DataFormatError(self.path, None, f"an array {shown}", f"have {expected} bytes", f"{len(data)}")
        self.state = shape, kind.dtype, "F" if fortran else "C", data

    def array(self) -> np.ndarray:
        if self.state is None:
            raise DataFormatError(self.path, None, "an array", "have a shape, a type and bytes", "none")
        shape, dtype, order, data = self.state
        flat = np.frombuffer(data, dtype)
        array = flat.astype(dtype.newbyteorder("="), copy=False).reshape(shape, order=order)  # type: ignore[call-overload]
        array.flags.writeable = False
        return array


def _numpy_globals(path: Path | str) -> dict[str, Any]:
    def dtype(*arguments: Any) -> _PickledType:
        return _PickledType(path, *arguments)

    def reconstruct(*_: Any) -> _PickledArray:
        return _PickledArray(path)

    return {
        "numpy dtype": dtype,
        "numpy ndarray": "numpy.ndarray",
        "numpy.core.multiarray _reconstruct": reconstruct,
        "numpy._core.multiarray _reconstruct": reconstruct,
        "_codecs encode": _latin_bytes,
    }


def _latin_bytes(text: Any, encoding: Any) -> bytes:
    """Bytes as Python 3 writes them in protocol 2."""
    if not isinstance(text, str) or encoding != "latin1":
        raise TypeError("bytes in another encoding than latin1")
    return text.encode("latin-1")
