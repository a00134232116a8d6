"""Zip archives whose sizes are checked before anything is allocated."""

import os
import zipfile
from pathlib import Path

from fjdl.errors import DataFormatError

MOST_RATIO = 1032  # bytes that DEFLATE can make of one


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
