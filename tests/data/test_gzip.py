import gzip
import re
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from fjdl.data.files import read_gzip
from fjdl.errors import DataError
from tests.data.server import put


@pytest.mark.parametrize("content", [b"", b"x", b"abc" * 100_000])
def test_gzip_is_read_back_up_to_exactly_the_limit(tmp_path, content):
    path = put(tmp_path / "f.gz", gzip.compress(content))
    assert read_gzip(path, limit=len(content)) == content
    if content:
        with pytest.raises(DataError, match=f"at most {len(content) - 1} bytes, got more"):
            read_gzip(path, limit=len(content) - 1)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


GOOD = gzip.compress(np.random.default_rng(0).integers(0, 9, 1000, np.uint8).tobytes(), mtime=0)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "must be complete"),
        (b"plain text, not gzip", "must be readable gzip"),
        (GOOD[:5], "must be complete"),
        (GOOD[:-1], "must be complete"),
        (GOOD[: len(GOOD) // 2], "must be complete"),
        (flipped(GOOD, len(GOOD) - 8), "readable gzip, got .*incorrect data check"),
        (flipped(GOOD, len(GOOD) - 1), "readable gzip, got .*incorrect length check"),
        (GOOD + b"!", "must end after one gzip member"),
        (GOOD + b"\0" * 8, "must end after one gzip member"),
        (GOOD + GOOD, "must end after one gzip member"),
    ],
)
def test_gzip_that_is_not_one_intact_member_is_refused(tmp_path, data, message):
    path = put(tmp_path / "f.gz", data)
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}: .*{message}"):
        read_gzip(path, limit=1000)


def test_trailing_bytes_after_a_chunk_boundary_are_seen(tmp_path):
    noise = gzip.compress(np.random.default_rng(0).bytes(2**16 - 50), compresslevel=0, mtime=0)
    assert len(noise) < 2**16
    for extra in (2**16 - len(noise), 2**16 - len(noise) + 1):
        with pytest.raises(DataError, match="must end after one gzip member"):
            read_gzip(put(tmp_path / "f.gz", noise + b"!" * extra), limit=2**16)


def intact_content(path: Path) -> bytes | None:
    try:
        return read_gzip(path, limit=1000)
    except DataError:
        return None


@settings(deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_changed_byte_is_refused_or_changes_nothing(tmp_path_factory, at, change):
    path = tmp_path_factory.getbasetemp() / "mutated.gz"
    content = intact_content(put(path, GOOD[:at] + bytes([GOOD[at] ^ change]) + GOOD[at + 1 :]))
    time_and_system = range(4, 10)  # the only bytes of the header that no reader depends on
    assert content == gzip.decompress(GOOD) if at in time_and_system else content in (None, gzip.decompress(GOOD))


def test_a_gzip_bomb_is_refused_without_inflating_it(tmp_path):
    path = put(tmp_path / "bomb.gz", gzip.compress(bytes(50_000_000)))
    tracemalloc.start()
    with pytest.raises(DataError, match="at most 1000 bytes, got more"):
        read_gzip(path, limit=1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_a_missing_gzip_file_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_gzip(tmp_path / "absent.gz", limit=1)
