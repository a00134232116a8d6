"""The IDX format of MNIST and its descendants, read with every number of the header checked."""

import math
from pathlib import Path

import numpy as np

from fjdl.errors import DataFormatError

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_AXES = 8
MOST_BYTES = 2**34


def parse_idx(data: bytes, *, path: Path | str) -> np.ndarray:
    """The array of an IDX file in the machine's byte order; `path` only names the file in errors.

    Layout (LeCun, Cortes & Burges, "The MNIST database"): two zeros, a type code, the number of axes (1 to 8 here),
    each as big-endian uint32, then exactly the values, big-endian and row by row. The sizes are compared in Python
    integers before anything is allocated. Every deviation raises `DataError`.
    """
    dtype, shape, start = _header(data, path)
    extent = math.prod(max(size, 1) for size in shape) * dtype.itemsize
    if extent > MOST_BYTES:
        raise DataFormatError(
            path, None, "the axes at byte 4", f"span at most {MOST_BYTES} bytes", f"axes {shape} of {dtype.name}"
        )
    expected = math.prod(shape) * dtype.itemsize
    if len(data) - start != expected:
        raise DataFormatError(
            path,
            None,
            f"{expected} bytes of values",
            f"follow byte {start} for axes {shape} of {dtype.name}",
            f"{len(data) - start}",
        )
    return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def _header(data: bytes, path: Path | str) -> tuple[np.dtype, tuple[int, ...], int]:
    """Type, axes and the position of the first value."""
    if len(data) < 4:
        raise DataFormatError(
            path, None, "an IDX file", "begin with 4 bytes of magic number", f"{len(data)} bytes in all"
        )
    if data[:2] != b"\0\0":
        raise DataFormatError(path, None, "an IDX file", "begin with two zero bytes", f"0x{data[:2].hex()}")
    if data[2] not in DTYPES:
        codes = ", ".join(f"0x{code:02x}" for code in DTYPES)
        raise DataFormatError(path, None, "the type code at byte 2", f"be one of {codes}", f"0x{data[2]:02x}")
    if not 1 <= data[3] <= MOST_AXES:
        raise DataFormatError(path, None, "the number of axes at byte 3", f"lie in [1, {MOST_AXES}]", f"{data[3]}")
    start = 4 + 4 * data[3]
    if len(data) < start:
        raise DataFormatError(
            path, None, f"a header of {data[3]} axes", f"have {start} bytes", f"{len(data)} bytes in all"
        )
    shape = tuple(int.from_bytes(data[at : at + 4], "big") for at in range(4, start, 4))
    return np.dtype(DTYPES[data[2]]), shape, start
