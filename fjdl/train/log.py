"""Records on disk that survive a crash, and progress on the terminal."""

import contextlib
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from fjdl.errors import StorageError

_CONSTANTS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def append_jsonl(path: Path, record: Mapping[str, Any]) -> None:
    """Adds one line of JSON, on the disk when the call returns; non-finite floats become strings, see `encode_json`.

    Raises `StorageError` where the line cannot be written, after removing what was written of it.
    """
    line = encode_json(record).encode()
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


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """All records, none for a missing file; a last line that a crash cut short is left out.

    Raises `StorageError` naming the file that cannot be read, with the line for any other line that is no JSON object.
    """
    return [decode_json(line) for line in _whole_lines(path)]


def truncate_after(path: Path, step: int) -> None:
    """Drops the records of later steps and a last line cut short, so that a resumed run writes each step once."""
    if not path.exists():
        return
    try:
        lines = [line for line in _whole_lines(path) if decode_json(line)["step"] <= step]
    except (KeyError, TypeError) as error:
        raise StorageError(f"{path} must have a number as the step of each record") from error
    write_atomically(path, b"".join(line + b"\n" for line in lines))


class Progress:
    """A bar on a terminal; elsewhere one line at most every `seconds`, and the last one.

    Give it numbers that are already on the host: formatting a device array would wait for the device.
    """

    def __init__(self, total: int, *, initial: int = 0, seconds: float = 5.0, stream: TextIO | None = None) -> None:
        self._total, self._seconds, self._stream = total, seconds, stream or sys.stderr
        self._shown, self._pending = -math.inf, ""
        self._bar = _bar(total, initial, self._stream) if self._stream.isatty() else None

    def update(self, step: int, text: str = "") -> None:
        """Shows that `step` steps are done; a terminal that is gone stops nothing."""
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            with contextlib.suppress(OSError):
                self._bar.update(step - self._bar.n)
            return
        self._pending = f"step {step}/{self._total}  {text}".rstrip()
        if time.monotonic() - self._shown >= self._seconds:
            self._print()

    def close(self) -> None:
        """Shows the last update, if it is still due, and ends the bar."""
        if self._bar is not None:
            with contextlib.suppress(OSError):
                self._bar.close()
        elif self._pending:
            self._print()

    def _print(self) -> None:
        with contextlib.suppress(OSError):
            print(self._pending, file=self._stream, flush=True)
        self._shown, self._pending = time.monotonic(), ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


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


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replaces the file at once and durably: after a crash it holds the old content or the new, never a mixture.

    Raises `StorageError` where the file cannot be written, which then holds the old content.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error


def sync(path: Path) -> None:
    """Forces a file's content, or a directory's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _whole_lines(path: Path) -> Iterator[bytes]:
    try:
        lines = path.read_bytes().split(b"\n") if path.exists() else [b""]
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error
    for number, line in enumerate(lines[:-1], start=1):
        try:
            if not isinstance(decode_json(line), dict):
                raise ValueError(f"a record must be a JSON object, got {line[:40].decode(errors='replace')}")
        except (ValueError, RecursionError) as error:
            raise StorageError(f"{path} is damaged in line {number}: {error}") from error
        yield line


def _restored(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _restored(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_restored(item) for item in value]
    return _CONSTANTS.get(value, value) if isinstance(value, str) else value


def _bar(total: int, initial: int, stream: TextIO) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, initial=initial, file=stream, unit="step", dynamic_ncols=True)
