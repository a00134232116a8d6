"""Data sets published as a few files of many examples: found unpacked, in their archive, or downloaded."""

import tarfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fjdl.data.files import RemoteFile, find_or_download, read_at_most, search_path
from fjdl.data.pickles import short
from fjdl.errors import DataFormatError

Part = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class BatchFiles:
    """One form in which a data set is published."""

    archive: RemoteFile
    folder: str  # in the archive and once unpacked
    files: tuple[tuple[str, int], ...]  # names in their order, each with its number of examples
    largest: int  # bytes that one of them may have
    read: Callable[..., Part]  # `read(data, path=path)` gives examples and labels


def load(name: str, forms: Sequence[BatchFiles], *, data_dir: Path | str | None = None) -> list[Part]:
    """The examples and labels of each file, in the form that the first folder of the search path has.

    In each folder the forms are looked for unpacked, in `name/` before the folder itself, and then as an archive. The
    archive of the first form is downloaded where nothing is found. Raises `DataError` where a file is missing beside
    others of its form, cannot be read, is too large, or holds another number of examples than the official one.
    """
    *users, cache = search_path(data_dir)
    for root in (*users, cache):
        for form in forms:
            if paths := _unpacked(form, _places(form, root, name, data_dir)):
                return _parts(form, [(path, _read(path, form.largest)) for path in paths])
        for form in forms if root in users else ():
            if any((folder / form.archive.name).is_file() for folder in (root / name, root)):
                return _from_archive(form, find_or_download(name, form.archive, data_dir=root))
    return _from_archive(forms[0], find_or_download(name, forms[0].archive, data_dir=data_dir))


def _places(form: BatchFiles, root: Path, name: str, data_dir: Path | str | None) -> list[Path]:
    """Where the files may lie without an archive; their names alone prove nothing in a folder of many data sets."""
    bare = [root] if data_dir and root == Path(data_dir).expanduser() else []
    return [root / name / form.folder, root / form.folder, root / name, *bare]


def _unpacked(form: BatchFiles, places: list[Path]) -> list[Path]:
    for place in places:
        paths = [place / file for file, _ in form.files]
        missing = [path for path in paths if not path.is_file()]
        if not missing:
            return paths
        if len(missing) < len(paths):
            raise DataFormatError(missing[0], None, "", f"lie beside the other files of {form.folder}", "no such file")
    return []


def _read(path: Path, largest: int) -> bytes:
    try:
        with open(path, "rb") as stream:
            data = read_at_most(stream, largest)
    except OSError as error:
        raise DataFormatError(path, None, "", "be readable", f"{short(error)}") from error
    if len(data) > largest:
        raise DataFormatError(path, None, "", f"have at most {largest} bytes", "more")
    return data


def _from_archive(form: BatchFiles, path: Path) -> list[Part]:
    """Reads the named members into memory in one pass; nothing is written, so no path in the archive matters."""
    names = [f"{form.folder}/{file}" for file, _ in form.files]
    try:
        with tarfile.open(path, "r:gz") as archive:
            contents = {m.name: _member(archive, m, path, form.largest) for m in archive if m.name in names}
    except (OSError, EOFError, ValueError, tarfile.TarError, zlib.error) as error:
        raise DataFormatError(path, None, "the archive", "be readable", f"{short(error)}") from error
    if missing := [name for name in names if name not in contents]:
        raise DataFormatError(path, None, "the archive", f"hold {missing[0]}", "no such member")
    return _parts(form, [(path / name, contents[name]) for name in names])


def _member(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path, largest: int) -> bytes:
    stream = archive.extractfile(member) if member.isreg() and member.size <= largest else None
    if stream is None:
        raise DataFormatError(
            path, None, f"{member.name}", f"be a file of at most {largest} bytes", f"{member.size} bytes"
        )
    return stream.read()


def _parts(form: BatchFiles, contents: list[tuple[Path, bytes]]) -> list[Part]:
    parts = [form.read(data, path=path) for path, data in contents]
    for (path, _), (examples, _), (_, count) in zip(contents, parts, form.files, strict=True):
        if len(examples) != count:
            raise DataFormatError(path, None, "the file", f"hold {count} examples", f"{len(examples)}")
    return parts
