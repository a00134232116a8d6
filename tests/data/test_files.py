import errno
import gzip
import hashlib
import http.client
import http.server
import io
import logging
import os
import re
import threading
import time
import tracemalloc
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fjdl.data.files
from fjdl.data.files import RemoteFile, find_or_download, read_gzip, search_path
from fjdl.errors import DataError, StorageError

BODY = b"the official content " * 5000


class Handler(http.server.BaseHTTPRequestHandler):
    """Each path is one way a server can behave."""

    def do_GET(self) -> None:
        self.server.requests.append(self.path)  # type: ignore[attr-defined]
        getattr(self, "answer_" + self.path.strip("/"))()

    def send(self, body: bytes, *, status: int = 200, length: int | None = None, location: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def answer_good(self) -> None:
        self.send(BODY)

    def answer_wrong(self) -> None:
        self.send(BODY[:-1] + b"?")

    def answer_page(self) -> None:
        self.send(b"<html>Please log in</html>")

    def answer_short(self) -> None:
        self.send(BODY[:-100], length=len(BODY))

    def answer_long(self) -> None:
        self.send(BODY * 50)

    def answer_missing(self) -> None:
        self.send(b"not found", status=404)

    def answer_redirect(self) -> None:
        self.send(b"", status=302, location="/good")

    def answer_ftp(self) -> None:
        self.send(b"", status=302, location="ftp://127.0.0.1/good")

    def answer_garbage(self) -> None:
        self.wfile.write(b"this is not HTTP\r\n\r\n")

    def answer_silent(self) -> None:
        self.server.released.wait(10)  # type: ignore[attr-defined]

    def answer_drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        for byte in BODY:
            if self.server.released.wait(0.02):  # type: ignore[attr-defined]
                return
            self.wfile.write(bytes([byte]))

    def log_message(self, format: str, *args: object) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[str] = []
        self.released = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that hangs up is what some tests are about

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"

    def file(self, *paths: str) -> RemoteFile:
        urls = tuple(self.url(path) for path in paths)
        return RemoteFile(name="toy.gz", urls=urls, size=len(BODY), sha256=hashlib.sha256(BODY).hexdigest())


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FJDL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("FJDL_DATA_DIR", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


def everything_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def put(path: Path, content: bytes = BODY) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_search_path_is_argument_environment_cache_and_nothing_beside_the_package(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("FJDL_DATA_DIR", "~/data")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert search_path("here") == [Path("here"), tmp_path / "data", cache]
    monkeypatch.delenv("FJDL_DATA_DIR")
    monkeypatch.delenv("FJDL_CACHE_DIR")
    assert search_path() == [tmp_path / ".cache/fjdl/data"]


def test_a_download_arrives_whole_under_its_name_only(server, cache):
    path = find_or_download("toy", server.file("good"))
    assert path == cache / "toy" / "toy.gz"
    assert path.read_bytes() == BODY
    assert everything_in(cache) == ["toy.gz"]


def test_a_second_call_uses_the_cache(server):
    file = server.file("good")
    assert find_or_download("toy", file) == find_or_download("toy", file)
    assert server.requests == ["/good"]


def test_the_file_gets_the_permissions_of_the_umask(server):
    before = os.umask(0o027)
    try:
        assert find_or_download("toy", server.file("good")).stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(before)


def test_the_next_mirror_is_tried_when_one_fails(server, cache):
    find_or_download("toy", server.file("missing", "short", "wrong", "good"))
    assert server.requests == ["/missing", "/short", "/wrong", "/good"]
    assert everything_in(cache) == ["toy.gz"]


def test_a_redirect_within_http_is_followed(server):
    assert find_or_download("toy", server.file("redirect")).read_bytes() == BODY


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("wrong", "sent a file with sha256 [0-9a-f]{64}"),
        ("page", "sent 26 of 105000 bytes"),
        ("short", "sent 104900 of 105000 bytes"),
        ("long", "sent more than 105000 bytes"),
        ("missing", "HTTP Error 404"),
        ("ftp", "redirect to ftp://127.0.0.1/good refused"),
        ("garbage", "HTTP"),
    ],
)
def test_a_bad_answer_leaves_nothing_behind_and_says_what_to_do(server, cache, behaviour, reason):
    file = server.file(behaviour)
    with pytest.raises(DataError, match=reason) as caught:
        find_or_download("toy", file)
    assert everything_in(cache) == []
    for part in (file.name, file.urls[0], file.sha256, str(file.size), str(cache / "toy")):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_redirect_from_https_to_http_is_refused():
    request = urllib.request.Request("https://example.org/toy.gz")
    handler = fjdl.data.files._SafeRedirect()
    arguments = (request, io.BytesIO(), 302, "Found", http.client.HTTPMessage())
    with pytest.raises(urllib.error.HTTPError, match=r"redirect to http://example\.org/toy\.gz refused") as caught:
        handler.redirect_request(*arguments, "http://example.org/toy.gz")
    caught.value.close()
    followed = handler.redirect_request(*arguments, "https://mirror.example.org/toy.gz")
    assert followed is not None
    assert followed.full_url == "https://mirror.example.org/toy.gz"


def test_no_server_at_all_is_an_error_within_seconds(server, cache):
    file = server.file("good")
    server.shutdown()
    server.server_close()
    start = time.monotonic()
    with pytest.raises(DataError, match="cannot download"):
        find_or_download("toy", file)
    assert time.monotonic() - start < 5
    assert everything_in(cache) == []


@pytest.mark.parametrize(("behaviour", "reason"), [("silent", "timed out"), ("drip", "sent fewer than")])
def test_a_server_that_stalls_is_given_up(server, cache, monkeypatch, behaviour, reason):
    monkeypatch.setattr(fjdl.data.files, "TIMEOUT", 0.2)
    with pytest.raises(DataError, match=reason):
        find_or_download("toy", server.file(behaviour))
    assert everything_in(cache) == []


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_an_interrupted_download_leaves_nothing_behind(server, cache, monkeypatch, interruption):
    seen = []

    def interrupt(descriptor: int) -> None:
        seen.extend(everything_in(cache))
        raise interruption

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(interruption):
        find_or_download("toy", server.file("good"))
    assert re.fullmatch(r"toy\.gz\.[0-9a-f]{32}\.part", seen[0])
    assert everything_in(cache) == []


def test_a_full_disk_is_a_storage_error_and_leaves_nothing_behind(server, cache, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device"):
        find_or_download("toy", server.file("good"))
    assert everything_in(cache) == []


def test_part_files_of_killed_downloads_are_swept_and_those_of_running_ones_stay(server, cache):
    killed, running = (put(cache / "toy" / f"toy.gz.{name}.part") for name in ("killed", "running"))
    os.utime(killed, (0, 0))
    find_or_download("toy", server.file("good"))
    assert everything_in(cache) == ["toy.gz", running.name]


def test_two_downloads_at_once_both_end_with_the_whole_file(server, cache):
    file, results = server.file("good"), []
    threads = [threading.Thread(target=lambda: results.append(find_or_download("toy", file))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [cache / "toy" / "toy.gz"] * 4
    assert results[0].read_bytes() == BODY
    assert everything_in(cache) == ["toy.gz"]


@pytest.mark.parametrize("content", [b"", BODY[:-1], BODY[:-1] + b"?", BODY + b"!"])
def test_a_bad_file_in_the_cache_is_replaced_and_reported(server, cache, caplog, content):
    put(cache / "toy" / "toy.gz", content)
    with caplog.at_level(logging.WARNING):
        assert find_or_download("toy", server.file("good")).read_bytes() == BODY
    assert "is removed and fetched again" in caplog.text
    assert everything_in(cache) == ["toy.gz"]


def test_a_bad_file_in_the_cache_is_gone_even_when_no_mirror_answers(server, cache):
    put(cache / "toy" / "toy.gz", BODY[:-1])
    with pytest.raises(DataError, match="HTTP Error 404"):
        find_or_download("toy", server.file("missing"))
    assert everything_in(cache) == []


@pytest.mark.parametrize("content", [b"", BODY[:-1], BODY[:-1] + b"?"])
def test_a_bad_file_of_the_users_is_refused_and_left_untouched(server, tmp_path, content):
    path = put(tmp_path / "mine" / "toy" / "toy.gz", content)
    with pytest.raises(DataError, match=f"^{re.escape(str(path))} must have .*, got .*; replace or remove it$"):
        find_or_download("toy", server.file("good"), data_dir=tmp_path / "mine")
    assert path.read_bytes() == content
    assert server.requests == []


@pytest.mark.parametrize("place", ["toy/toy.gz", "toy.gz"])
def test_a_users_file_is_found_in_the_folder_or_beside_it(server, tmp_path, place):
    path = put(tmp_path / "mine" / place)
    assert find_or_download("toy", server.file("good"), data_dir=str(tmp_path / "mine")) == path
    assert server.requests == []


def test_the_argument_comes_before_the_environment_before_the_cache(server, tmp_path, cache, monkeypatch):
    cached = put(cache / "toy" / "toy.gz")
    assert find_or_download("toy", server.file("good")) == cached
    given = put(tmp_path / "environment" / "toy" / "toy.gz")
    monkeypatch.setenv("FJDL_DATA_DIR", str(tmp_path / "environment"))
    assert find_or_download("toy", server.file("good")) == given
    mine = put(tmp_path / "mine" / "toy" / "toy.gz")
    assert find_or_download("toy", server.file("good"), data_dir=tmp_path / "mine") == mine


def test_a_cache_that_cannot_be_written_is_a_storage_error(server, cache):
    put(cache, b"a file in place of the folder")
    with pytest.raises(StorageError, match="must be a writable folder"):
        find_or_download("toy", server.file("good"))


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
