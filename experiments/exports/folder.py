"""A folder of files that take their place together."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from fjdl.errors import StorageError, UsageError
from fjdl.files import sync


def require_free(out: Path, *, overwrite: bool) -> None:
    """Raises `UsageError` where something is in the way that may not be replaced."""
    if os.path.lexists(out) and not out.is_dir():
        raise UsageError(f"{out} must be a folder or nothing, got a file")
    if not overwrite and not _empty(out):
        raise UsageError(f"{out} is not empty; --overwrite replaces its files, --out names another folder")


@contextlib.contextmanager
def together(out: Path, *, last: str) -> Iterator[Path]:
    """A new folder beside `out`, to be filled: when the block ends, its files take their place in `out`.

    A folder that was not there, or empty, appears whole. In another one each file is replaced at once, the one called
    `last` after all others, and what has other names stays. Where the block fails nothing is left behind. Raises
    `StorageError` where the files cannot be written.
    """
    target = out.resolve()
    stage = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        with _storage_error(out):
            target.parent.mkdir(parents=True, exist_ok=True)
            stage.mkdir()
        yield stage
        with _storage_error(out):
            _take_place(stage, target, last)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _take_place(stage: Path, target: Path, last: str) -> None:
    if _empty(target):
        os.replace(stage, target)
        sync(target.parent)
        return
    for path in sorted(stage.iterdir(), key=lambda path: path.name == last):
        os.replace(path, target / path.name)
        sync(target)


def _empty(folder: Path) -> bool:
    return not folder.exists() or not any(folder.iterdir())


@contextlib.contextmanager
def _storage_error(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{out} cannot be written: {error.strerror or error}") from error
