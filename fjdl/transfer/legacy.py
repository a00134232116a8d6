"""PyTorch's .pt and .pth files read without PyTorch and without running anything that they name."""

import io
import math
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

from fjdl.data.files import require_sound
from fjdl.data.pickles import read_pickle, short
from fjdl.errors import DataFormatError

MOST_BYTES = 2**34
MOST_NESTED = 64
MOST_AXES = 64

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
STORAGES = {
    "DoubleStorage": "<f8", "FloatStorage": "<f4", "HalfStorage": "<f2", "BFloat16Storage": ml_dtypes.bfloat16,
    "ComplexFloatStorage": "<c8", "ComplexDoubleStorage": "<c16", "LongStorage": "<i8", "IntStorage": "<i4",
    "ShortStorage": "<i2", "CharStorage": "i1", "ByteStorage": "u1", "BoolStorage": "?",
}  # fmt: skip

_UNREADABLE = (
    ArithmeticError, EOFError, LookupError, OSError, RuntimeError, ValueError, struct.error, zipfile.BadZipFile,
)  # fmt: skip

_Numbers = Callable[["_Storage"], bytes]


def load_torch_pickle(path: Path | str, *, strip: str = "") -> dict[Any, Any]:
    """The dictionary that `torch.save` wrote, nested as it is there, with NumPy arrays in place of tensors.

    Reads both forms, zip archives and the older chain of pickles. The only globals that may occur are
    `collections.OrderedDict`, `torch._utils._rebuild_tensor`, `_rebuild_tensor_v2` and the storages of booleans,
    integers and floating point numbers; numbers, strings and lists beside the tensors stay what they are. `strip`, such
    as `"module."`, is taken off every key that begins with it. Arrays are read-only, and those of one storage share
    its memory as the tensors did. Time and memory are bounded by a multiple of the file's size. Raises `DataError` for
    any other global, naming it, for a file of more than 2³⁴ bytes, and where anything is missing, damaged or not of the
    form that PyTorch writes.
    """
    with _opened(path) as stream:
        zipped = stream.read(4) == b"PK\x03\x04"
        stream.seek(0)
        content, numbers = (_from_zip if zipped else _from_chain)(stream, path)
        if not isinstance(content, dict):
            raise DataFormatError(path, None, "the file", "hold a dictionary", f"{type(content).__name__}")
        return _Arrays(path, strip, numbers).value(content, 0)


@contextmanager
def _opened(path: Path | str) -> Iterator[BinaryIO]:
    """The open file; what goes wrong while it is read is a `DataError`."""
    try:
        with open(path, "rb") as stream:
            size = stream.seek(0, io.SEEK_END)
            stream.seek(0)
            if size > MOST_BYTES:
                raise DataFormatError(path, None, "", f"have at most {MOST_BYTES} bytes", f"{size}")
            yield stream
    except _UNREADABLE as error:
        raise DataFormatError(path, None, "", "be a readable file of PyTorch", f"{short(error)}") from error


@dataclass(frozen=True)
class _Storage:
    """A run of numbers that tensors view."""

    key: str
    dtype: np.dtype
    count: int

    @property
    def size(self) -> int:
        return self.count * self.dtype.itemsize


@dataclass(frozen=True)
class _Tensor:
    """Which numbers of a storage belong to a tensor, counted in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _unpickle(stream: BinaryIO, path: Path | str) -> tuple[Any, dict[str, _Storage]]:
    """The object with `_Tensor` in place of tensors, and the storages by their keys."""
    storages: dict[str, _Storage] = {}

    def persistent(name: Any) -> _Storage:
        kind, dtype, key, _, count, *view = name
        if kind != "storage" or not isinstance(dtype, np.dtype) or not isinstance(key, str) or not _natural(count):
            raise TypeError("a persistent id that is not a storage")
        storage = _Storage(key, dtype, count)
        if view not in ([], [None]) or storages.setdefault(key, storage) != storage:
            raise DataFormatError(
                path, None, f"storage {short(key)}", "be described in one way", "a view or another type"
            )
        return storage

    return read_pickle(stream, path=path, known=_KNOWN, persistent=persistent), storages


def _natural(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**60


def _rebuild(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    for sizes in (shape, strides):
        if not isinstance(sizes, tuple) or len(sizes) > MOST_AXES or not all(map(_natural, sizes)):
            raise TypeError("a tensor whose shape or strides are not natural numbers")
    if not isinstance(storage, _Storage) or not _natural(offset) or len(shape) != len(strides):
        raise TypeError("a tensor without a storage, an offset or a stride for each axis")
    return _Tensor(storage, offset, shape, strides)


def _rebuild_v2(
    storage: Any, offset: Any, shape: Any, strides: Any, gradient: Any, hooks: Any, flags: Any = None
) -> _Tensor:
    if flags:
        raise TypeError("a tensor that is lazily conjugated or negated")
    return _rebuild(storage, offset, shape, strides)


def _ordered_dict() -> dict[Any, Any]:
    return {}


_KNOWN: dict[str, Any] = {
    "collections OrderedDict": _ordered_dict,
    "torch._utils _rebuild_tensor": _rebuild,
    "torch._utils _rebuild_tensor_v2": _rebuild_v2,
    **{f"torch {name}": np.dtype(kind) for name, kind in STORAGES.items()},
}


def _from_zip(stream: BinaryIO, path: Path | str) -> tuple[Any, _Numbers]:
    """`<root>data.pkl` with the object, `<root>data/<key>` with the numbers, nothing compressed."""
    archive = zipfile.ZipFile(stream)
    require_sound(archive, path)
    members = {member.filename: member for member in archive.infolist()}
    if len(members) < len(archive.infolist()) or any(m.compress_type or m.flag_bits & 1 for m in members.values()):
        raise DataFormatError(path, None, "the members of the archive", "be stored under different names", "others")
    roots = [name.removesuffix("data.pkl") for name in members if name.endswith("/data.pkl")]
    if len(roots) != 1:
        raise DataFormatError(path, None, "the archive", "hold one data.pkl", f"{len(roots)}")
    order = f"{roots[0]}byteorder"
    if order in members and archive.read(order) != b"little":
        raise DataFormatError(path, None, "the numbers", "be little-endian", "another byte order")
    content, _ = _unpickle(io.BytesIO(archive.read(f"{roots[0]}data.pkl")), path)
    return content, lambda storage: archive.read(f"{roots[0]}data/{storage.key}")


def _from_chain(stream: BinaryIO, path: Path | str) -> tuple[Any, _Numbers]:
    """Pickles of magic number, protocol, machine, object and keys; then for each key a count and the numbers."""
    data = io.BytesIO(stream.read())
    magic, protocol, machine = (read_pickle(data, path=path, known={}) for _ in range(3))
    if magic != MAGIC or protocol != PROTOCOL:
        raise DataFormatError(path, None, "the file", "begin with PyTorch's magic number and protocol 1001", "others")
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise DataFormatError(path, None, "the numbers", "be little-endian", "another byte order")
    content, storages = _unpickle(data, path)
    keys = read_pickle(data, path=path, known={})
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys) or {*keys} != {*storages}:
        raise DataFormatError(path, None, "the list of storages", "be those of the tensors", "others")
    numbers = {key: _counted(data, storages[key], path) for key in keys}
    if len(numbers) < len(keys) or data.read(1):
        raise DataFormatError(path, None, "the file", "end after its last storage", "more")
    return content, lambda storage: numbers[storage.key]


def _counted(data: BinaryIO, storage: _Storage, path: Path | str) -> bytes:
    count = int.from_bytes(data.read(8), "little")
    if count != storage.count:
        raise DataFormatError(path, None, f"storage {short(storage.key)}", f"have {storage.count} elements", f"{count}")
    return data.read(storage.size)


class _Arrays:
    """Copies containers with arrays in place of tensors, each container once, however often it occurs."""

    def __init__(self, path: Path | str, strip: str, numbers: _Numbers) -> None:
        self.path, self.strip, self.numbers = path, strip, numbers
        self.done: dict[int, Any] = {}
        self.storages: dict[str, np.ndarray] = {}

    def value(self, value: Any, depth: int) -> Any:
        if isinstance(value, _Tensor):
            return self.view(value)
        if isinstance(value, dict | list | tuple):
            if id(value) not in self.done:
                self.done[id(value)] = self.container(value, depth)
            return self.done[id(value)]
        if not isinstance(value, str | bytes | int | float | None):
            raise DataFormatError(
                self.path, None, "the values", "be tensors, numbers or text", f"{type(value).__name__}"
            )
        return value

    def container(self, value: Any, depth: int) -> Any:
        if depth == MOST_NESTED:
            raise DataFormatError(self.path, None, "containers", f"be nested at most {MOST_NESTED} deep", "more")
        if not isinstance(value, dict):
            return type(value)(self.value(item, depth + 1) for item in value)
        named = {self.key(key): self.value(item, depth + 1) for key, item in value.items()}
        if len(named) < len(value):
            raise DataFormatError(self.path, None, "keys", f"differ without {self.strip!r}", "two that are equal")
        return named

    def key(self, key: Any) -> Any:
        return key.removeprefix(self.strip) if isinstance(key, str) else key

    def view(self, tensor: _Tensor) -> np.ndarray:
        """The elements of a tensor, without a copy."""
        storage, extent = self.storage(tensor.storage), math.prod(max(size, 1) for size in tensor.shape)
        axes = list(zip(tensor.shape, tensor.strides, strict=True))
        last = tensor.offset + sum((size - 1) * stride for size, stride in axes)
        if 0 in tensor.shape and extent <= MOST_BYTES:
            return _frozen(np.zeros(tensor.shape, storage.dtype))
        if last >= len(storage) or extent > len(storage):
            raise DataFormatError(
                self.path, None, "a tensor", f"lie within its {len(storage)} elements", "one beyond them"
            )
        strides = [stride * storage.dtype.itemsize if size > 1 else 0 for size, stride in axes]
        return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides, writeable=False)

    def storage(self, storage: _Storage) -> np.ndarray:
        if storage.key not in self.storages:
            numbers = self.numbers(storage)
            if len(numbers) != storage.size:
                key, size = short(storage.key), storage.size
                raise DataFormatError(self.path, None, f"storage {key}", f"have {size} bytes", f"{len(numbers)}")
            self.storages[storage.key] = np.frombuffer(numbers, storage.dtype)
        return self.storages[storage.key]


def _frozen(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
