"""Files of NumPy's `.npz`, read without pickles and without more memory than their bytes need."""

import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from fjdl.data.blank import absent
from fjdl.errors import DataError

LARGEST = 2**36  # bytes of all arrays of a file
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_npz(path: Path | str) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by their names; they hold numbers, booleans or strings.

    Raises `DataError` for a file that is no archive or damaged, for an array of Python's objects, and for one whose
    header says another size than the file has.
    """
    if Path(path).suffix.lower() != ".npz":
        raise DataError(f"{path}: the name of a file of arrays must end in .npz, got {Path(path).name!r}")
    if not Path(path).is_file():
        raise absent(f"{path} must be a file, got no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            if total > LARGEST:
                raise DataError(f"{path}: the arrays must have at most {LARGEST} bytes, got {total}")
            found = {member.filename.removesuffix(".npy"): _read(archive, member, path) for member in members}
    except DataError:
        raise
    except (OSError, zipfile.BadZipFile, EOFError, ValueError, RuntimeError, NotImplementedError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} must be a readable .npz file, got {reason[:200]}") from error
    if not found:
        raise DataError(f"{path}: the file must hold an array, got none")
    return found


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path | str) -> np.ndarray:
    name = member.filename.removesuffix(".npy")
    with archive.open(member) as stream:
        shape, fortran, dtype = _header(stream, path, name)
        if dtype.hasobject or dtype.names is not None:
            raise DataError(f"{path}, array {name!r}: entries must be numbers, booleans or strings, got {dtype}")
        size = math.prod(shape) * dtype.itemsize
        if size != member.file_size - stream.tell():
            got = f"{member.file_size - stream.tell()} for {dtype}{list(shape)}"
            raise DataError(f"{path}, array {name!r}: there must be {size} bytes behind the header, got {got}")
        flat = np.frombuffer(stream.read(), dtype)
    return flat.reshape(shape, order="F" if fortran else "C").astype(dtype.newbyteorder("="), copy=False)


def _header(stream: IO[bytes], path: Path | str, name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = npy.read_magic(stream)
    if version not in _HEADERS:
        raise DataError(f"{path}, array {name!r}: the format must be version 1 or 2, got {version[0]}.{version[1]}")
    return _HEADERS[version](stream)
