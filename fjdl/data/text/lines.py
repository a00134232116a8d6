"""Text files and their lines, packed with gzip or not, each fault with the number of its line."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from fjdl.data.blank import absent
from fjdl.errors import DataError, DataFormatError

LARGEST = 2**32  # bytes of a text once unpacked
LONGEST = 2**28  # bytes of a line


def raw_lines(path: Path | str, *, limit: int = LARGEST) -> Iterator[tuple[int, bytes]]:
    """The number of each line, from 1, and its bytes with the newline; a file that ends in `.gz` is unpacked.

    Only the byte 10 ends a line. One line is held at a time. Raises `DataError` where the file cannot be read, its gzip
    data are damaged or cut off, a line has more than 256 MiB, or all have more than `limit` bytes.
    """
    number, total = 0, 0
    try:
        with opened(path) as stream:
            while line := stream.readline(LONGEST + 1):
                number, total = number + 1, total + len(line)
                if len(line) > LONGEST:
                    raise DataFormatError(path, f"line {number}", "a line", f"have at most {LONGEST} bytes", "more")
                if total > limit:
                    raise DataFormatError(path, f"line {number}", "the text", f"have at most {limit} bytes", "more")
                yield number, line
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(path, error, line=number + 1) from error


def read_lines(path: Path | str, *, encoding: str = "utf-8", limit: int = LARGEST) -> list[str]:
    """The lines of a text file without their ends, which are a newline and one carriage return before it.

    The last line may lack its newline. A byte order mark of UTF-8 is left out. Raises `DataError` with the line's
    number for bytes that are not of the encoding and for what `raw_lines` refuses, and `ValueError` for an encoding
    whose newline is not the byte 10.
    """
    return list(iterate_lines(path, encoding=encoding, limit=limit))


def iterate_lines(path: Path | str, *, encoding: str = "utf-8", limit: int = LARGEST) -> Iterator[str]:
    """The lines of `read_lines` one after the other, of which one is held at a time."""
    decode = decoder(path, encoding)
    for number, line in raw_lines(path, limit=limit):
        yield decode(number, line.removesuffix(b"\n").removesuffix(b"\r"))


def read_text(path: Path | str, *, encoding: str = "utf-8", limit: int = LARGEST) -> str:
    """The whole text of a file with the ends of its lines as they are; raises what `read_lines` does."""
    decode = decoder(path, encoding)
    return "".join(decode(number, line) for number, line in raw_lines(path, limit=limit))


def decoder(path: Path | str, encoding: str) -> Callable[[int, bytes], str]:
    """A function of a line's number and bytes that gives its text; `path` only names the file in errors."""
    try:
        fits = "\n".encode(encoding) == b"\n"
    except LookupError:
        fits = False
    if not fits:
        raise ValueError(f"encoding must be a known one whose newline is the byte 10, as of utf-8, got {encoding!r}")

    def decode(number: int, line: bytes) -> str:
        try:
            text = line.decode(encoding)
        except UnicodeDecodeError as error:
            got = f"byte 0x{line[error.start]:02x} at column {error.start + 1}"
            raise DataFormatError(path, f"line {number}", "the text", f"be {encoding}", f"{got}") from None
        return text.removeprefix("\ufeff") if number == 1 else text

    return decode


def opened(path: Path | str) -> IO[bytes]:
    """The file for reading, unpacked where its name ends in `.gz`; raises `DataError` where it cannot be opened."""
    try:
        if not Path(path).exists():
            raise absent(f"{path} must be a file, got a path that does not exist")
        return gzip.open(path) if str(path).endswith(".gz") else open(path, "rb")  # type: ignore[return-value]
    except OSError as error:
        raise unreadable(path, error, line=1) from error


def unreadable(path: Path | str, error: Exception, *, line: int) -> DataError:
    """The error for what the system or gzip could not read from a line on."""
    reason = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
    return DataFormatError(path, f"line {line}", "the file", "be readable to its end", f"{reason}")
