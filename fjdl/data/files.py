"""Data files on disk: where they are looked for, how they are verified, fetched and unpacked."""

import hashlib
import http.client
import logging
import os
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from tqdm import tqdm

from fjdl.data.blank import AbsentError, absent, blank
from fjdl.errors import DataError, DataFormatError, StorageError
from fjdl.files import replacing

TIMEOUT = 10.0  # seconds without an answer
SLOWEST = 4096  # bytes a second on average, once TIMEOUT seconds have passed
CHUNK = 2**16
MOST_RATIO = 1032  # bytes that DEFLATE can make of one
ABANDONED = 3600.0  # seconds after which an untouched part file belongs to a killed process

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """A published file: its name, the mirrors that offer it, and the size and sha256 that prove it."""

    name: str
    urls: tuple[str, ...]
    size: int
    sha256: str


def search_path(data_dir: Path | str | None = None) -> list[Path]:
    """Folders in the order they are searched, the cache last.

    `data_dir`, the environment's `FJDL_DATA_DIR`, and the cache: `FJDL_CACHE_DIR` or `~/.cache/fjdl/data`. Only the
    cache is ever written to.
    """
    given = [folder for folder in (data_dir, os.environ.get("FJDL_DATA_DIR")) if folder]
    cache = os.environ.get("FJDL_CACHE_DIR") or "~/.cache/fjdl/data"
    return [Path(folder).expanduser() for folder in (*given, cache)]


def find_or_download(folder: str, file: RemoteFile, *, data_dir: Path | str | None = None) -> Path:
    """The path of a verified copy of `file`: `folder/name` in the search path, `name` in `data_dir`, or a download.

    Size and sha256 are checked at every call. A wrong file in a user's folder raises `DataError` and stays untouched;
    in the cache it is removed and fetched again. Where nothing is found and no mirror answers, `DataError` says what to
    put where. Inside of `blank_data` nothing is fetched. Raises `StorageError` where the cache cannot be written.
    """
    *users, cache = search_path(data_dir)
    candidates = [user / folder / file.name for user in users]
    if data_dir:
        candidates.insert(1, users[0] / file.name)
    for path in candidates:
        if os.path.isfile(path):
            if fault := _fault(path, file):
                raise DataError(f"{fault}; replace or remove it")
            return path
    target = cache / folder / file.name
    if os.path.isfile(target):
        if not (fault := _fault(target, file)):
            return target
        _log.warning("%s; it is removed and fetched again", fault)
        _remove(target)
    if blank() is not None:
        raise AbsentError(f"{file.name} must be in {target.parent} or in FJDL_DATA_DIR/{folder}, got no such file")
    _download(file, target)
    return target


def find_folder(folder: str, inside: str, *, home: str, data_dir: Path | str | None = None) -> Path:
    """The first folder `folder` of the search path, or `data_dir` itself, in which `inside` exists.

    For data sets of many files, which are not downloaded. Where there is none, `DataError` says what to put where and
    that `home` offers it.
    """
    candidates = [path / folder for path in search_path(data_dir)]
    if data_dir:
        candidates.insert(1, Path(data_dir).expanduser())
    for path in candidates:
        if (path / inside).exists():
            return path
    raise absent(f"{inside} must be in {candidates[-1]} or in FJDL_DATA_DIR/{folder}, got no such file; {home} has it")


def read_gzip(path: Path, *, limit: int) -> bytes:
    """The content of a gzip file of exactly one member, at most `limit` bytes of it.

    Never inflates more than `limit + 1` bytes. Raises `DataError` where the file is unreadable, not gzip, truncated,
    fails its checksum, holds more than `limit` bytes, or goes on after its first member.
    """
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    content = bytearray()
    try:
        with open(path, "rb") as stream:
            while not inflater.eof and (chunk := stream.read(CHUNK)):
                content += inflater.decompress(chunk, limit + 1 - len(content))
                if len(content) > limit:
                    raise DataFormatError(path, None, "the gzip content", f"have at most {limit} bytes", "more")
            trailing = inflater.unused_data or stream.read(1)
    except (OSError, zlib.error) as error:
        raise DataFormatError(path, None, "the file", "be readable gzip", f"{_one_line(error)}") from error
    if not inflater.eof:
        raise DataFormatError(
            path, None, "the gzip member", "be complete", f"its beginning ({len(content)} bytes unpacked)"
        )
    if trailing:
        raise DataFormatError(path, None, "the file", "end after one gzip member", "more bytes")
    return bytes(content)


def read_at_most(stream: IO[bytes], limit: int) -> bytes:
    """The bytes of an open file, or `limit + 1` of them where it has more; allocates no more than the file has."""
    return stream.read(min(limit, os.fstat(stream.fileno()).st_size) + 1)


def require_sound(archive: zipfile.ZipFile, path: Path | str) -> None:
    """Raises `DataFormatError` where members are larger than the file can hold, or packed by another method."""
    assert archive.fp is not None
    there = archive.fp.seek(0, os.SEEK_END)
    members = archive.infolist()
    if sum(member.compress_size for member in members) > there:
        raise DataFormatError(path, None, "the members of the archive", "not overlap", "more bytes than the file has")
    for member in members:
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataFormatError(path, None, "members", "be stored or deflated", f"method {member.compress_type}")
        most = member.compress_size * (MOST_RATIO if member.compress_type else 1)
        if member.file_size > most:
            raise DataFormatError(path, None, "a member", f"unpack to at most {most} bytes", f"{member.file_size}")


def _fault(path: Path, file: RemoteFile) -> str:
    """What is wrong with the file at `path`, or an empty string."""
    try:
        size = path.stat().st_size
        if size != file.size:
            return f"{path} must have {file.size} bytes, got {size}"
        with open(path, "rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        return f"{path} must be readable, got {_one_line(error)}"
    return "" if digest == file.sha256 else f"{path} must have sha256 {file.sha256}, got {digest}"


def _download(file: RemoteFile, target: Path) -> None:
    """Tries the mirrors in turn; the file appears under its name only complete, verified and on disk."""
    failures = []
    for url in file.urls:
        try:
            return _download_from(url, file, target)
        except DataError as error:
            failures.append(str(error))
    raise DataError(
        f"cannot download {file.name}: put the file of {file.size} bytes with sha256 {file.sha256} into "
        f"{target.parent}, tried {', '.join(failures)}"
    )


def _download_from(url: str, file: RemoteFile, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        with replacing(target) as part:
            _write_verified(part, url, file)
    except OSError as error:
        raise StorageError(f"{target.parent} must be a writable folder, got {_one_line(error)}") from error


def _sweep(target: Path) -> None:
    """Removes the part files of downloads that were killed; those of running ones are younger."""
    for part in target.parent.glob(f"{target.name}.*.part"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > ABANDONED:
                part.unlink()


def _write_verified(part: Path, url: str, file: RemoteFile) -> None:
    digest = hashlib.sha256()
    with closing(_body(url, file)) as body, open(part, "xb") as stream:
        for chunk in body:
            digest.update(chunk)
            stream.write(chunk)
        if digest.hexdigest() != file.sha256:
            raise DataError(f"{url} (sent a file with sha256 {digest.hexdigest()})")


def _body(url: str, file: RemoteFile) -> Generator[bytes, None, None]:
    """The bytes behind `url`, exactly `file.size` of them; network failures become `DataError`."""
    received, start = 0, time.monotonic()
    request = urllib.request.Request(url, headers={"User-Agent": "fjdl"})
    try:
        with (
            urllib.request.build_opener(_SafeRedirect).open(request, timeout=TIMEOUT) as response,
            tqdm(total=file.size, desc=file.name, unit="B", unit_scale=True, leave=False, disable=None) as progress,
        ):
            while chunk := response.read1(CHUNK):
                received += len(chunk)
                progress.update(len(chunk))
                if received > file.size:
                    raise DataError(f"{url} (sent more than {file.size} bytes)")
                if time.monotonic() - start > TIMEOUT + received / SLOWEST:
                    raise DataError(f"{url} (sent fewer than {SLOWEST} bytes a second)")
                yield chunk
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise DataError(f"{url} ({_one_line(error)})") from error
    if received < file.size:
        raise DataError(f"{url} (sent {received} of {file.size} bytes)")


class _SafeRedirect(urllib.request.HTTPRedirectHandler):
    """Follows redirects over http and https only, and never from https down to http."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        allowed = {"https"} if req.type == "https" else {"http", "https"}
        if urlsplit(newurl).scheme not in allowed:
            raise urllib.error.HTTPError(req.full_url, code, f"redirect to {newurl} refused", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path} must be removable, got {_one_line(error)}") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
