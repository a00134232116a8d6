"""Files that are there as a whole or not at all, whatever interrupts the writing."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from fjdl.errors import StorageError


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replaces the file at once and durably: after a crash it holds the old content or the new, never a mixture.

    Raises `StorageError` where the file cannot be written, which then holds the old content.
    """
    try:
        with replacing(path) as part:
            part.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}") from error


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """The name of a file to be written, beside `path`: it takes the place of `path` when the block ends, durably.

    Where the block fails it is removed and `path` stays as it was. Errors of the system reach the caller as `OSError`.
    """
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield part
        sync(part)
        os.replace(part, path)
        sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Forces a file's content, or a directory's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
