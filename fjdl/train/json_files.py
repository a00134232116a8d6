"""JSON on disk: documents, and records of which each line survives a crash."""

import json
import math
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fjdl.errors import StorageError
from fjdl.files import write_atomically

_CHECK = "crc32"  # of the rest of a record
_CONSTANTS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def append_jsonl(path: Path, record: Mapping[str, Any]) -> None:
    """Adds one line of JSON, on the disk when the call returns; non-finite floats become strings, see `encode_json`.

    The line has a checksum of its own, as the field `crc32` of the record.

    Raises `StorageError` where the line cannot be written, after removing what was written of it.
    """
    line = encode_record(record).encode()
    try:
        with path.open("ab", buffering=0) as file:
            end = file.tell()
            try:
                if file.write(line) != len(line):
                    raise OSError(f"only part of {len(line)} bytes fitted")
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error


def encode_record(record: Mapping[str, Any]) -> str:
    """The line of a record, with its checksum."""
    return encode_json({**record, _CHECK: _checksum(record)})


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """All records, none for a missing file; a last line that a crash cut short is left out.

    Raises `StorageError` naming the file that cannot be read, with the line for any other line that is no JSON object
    or does not match its checksum; lines of an older version have none.
    """
    records = [decode_json(line) for line in _whole_lines(path)]
    return [{name: value for name, value in record.items() if name != _CHECK} for record in records]


def truncate_after(path: Path, step: int) -> None:
    """Drops the records of later steps and a last line cut short, so that a resumed run writes each step once."""
    if not path.exists():
        return
    try:
        lines = [line for line in _whole_lines(path) if decode_json(line)["step"] <= step]
    except (KeyError, TypeError) as error:
        raise StorageError(f"{path} must have a number as the step of each record") from error
    write_atomically(path, b"".join(line + b"\n" for line in lines))


def encode_json(value: Any, *, indent: int | None = None) -> str:
    """JSON text and a newline; floats that JSON lacks become the strings "NaN", "Infinity" and "-Infinity"."""
    return json.dumps(plain(value), indent=indent, allow_nan=False) + "\n"


def decode_json(text: str | bytes) -> Any:
    """The inverse of `encode_json`; raises `ValueError` for text that is not JSON."""
    return _restored(json.loads(text))


def read_json(path: Path) -> Any:
    """The value in a file of `encode_json`; raises `StorageError` naming a file that cannot be read."""
    try:
        return decode_json(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise StorageError(f"{path} cannot be read: {error}") from error


def plain(value: Any) -> Any:
    """The value in JSON's own types: mappings, lists, strings, finite numbers, booleans and None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "dtype"):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _whole_lines(path: Path) -> Iterator[bytes]:
    try:
        lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
    for number, line in enumerate(lines[:-1], start=1):
        try:
            record = decode_json(line)
            if not isinstance(record, dict):
                raise ValueError(f"a record must be a JSON object, got {line[:40].decode(errors='replace')}")
            if record.pop(_CHECK, None) not in (None, _checksum(record)):
                raise ValueError("its content does not match its checksum")
        except (ValueError, RecursionError) as error:
            raise StorageError(f"{path} is damaged in line {number}: {error}") from error
        yield line


def _checksum(record: Mapping[str, Any]) -> str:
    return f"{zlib.crc32(encode_json(record).encode()):08x}"


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _restored(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_restored(item) for item in value]
    return _CONSTANTS.get(value, value) if isinstance(value, str) else value
