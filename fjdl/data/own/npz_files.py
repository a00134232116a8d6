"""Files of NumPy's `.npz`, read without pickles and without more memory than their bytes need."""

import math
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from fjdl.data.blank import absent
from fjdl.data.files import require_sound
from fjdl.errors import DataError, DataFormatError

LARGEST = 2**36  # bytes of all arrays of a file
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def read_npz(path: Path | str) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by their names; they hold numbers, booleans or strings.

    Raises `DataError` for a file that is no archive or damaged, for an array of Python's objects, and for one whose
    header says another size than the file has.
    """
    if Path(path).suffix.lower() != ".npz":
        raise DataFormatError(path, None, "the name of a file of arrays", "end in .npz", f"{Path(path).name!r}")
    if not Path(path).is_file():
        raise absent(f"{path} must be a file, got no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            require_sound(archive, path)
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            if total > LARGEST:
                raise DataFormatError(path, None, "the arrays", f"have at most {LARGEST} bytes", f"{total}")
            found = {member.filename.removesuffix(".npy"): _read(archive, member, path) for member in members}
    except DataError:
        raise
    except (OSError, zipfile.BadZipFile, EOFError, ValueError, RuntimeError, NotImplementedError, zlib.error) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataFormatError(path, None, "", "be a readable .npz file", f"{reason[:200]}") from error
    if not found:
        raise DataFormatError(path, None, "the file", "hold an array", "none")
    return found


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path | str) -> np.ndarray:
    name = member.filename.removesuffix(".npy")
    with archive.open(member) as stream:
        shape, fortran, dtype = _header(stream, path, name)
        if dtype.hasobject or dtype.names is not None:
            raise DataFormatError(path, f"array {name!r}", "entries", "be numbers, booleans or strings", f"{dtype}")
        size = math.prod(shape) * dtype.itemsize
        if size != member.file_size - stream.tell():
            got = f"{member.file_size - stream.tell()} for {dtype}{list(shape)}"
            raise DataFormatError(path, f"array {name!r}", "there", f"be {size} bytes behind the header", f"{got}")
        flat = np.frombuffer(stream.read(), dtype)
    return flat.reshape(shape, order="F" if fortran else "C").astype(dtype.newbyteorder("="), copy=False)


def _header(stream: IO[bytes], path: Path | str, name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = npy.read_magic(stream)
    if version not in _HEADERS:
        raise DataFormatError(path, f"array {name!r}", "the format", "be version 1 or 2", f"{version[0]}.{version[1]}")
    return _HEADERS[version](stream)
