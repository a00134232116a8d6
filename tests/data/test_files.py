import errno
import http.client
import http.server
import io
import logging
import os
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import fjdl.data.files
from fjdl.data.files import find_or_download, search_path
from fjdl.errors import DataError, StorageError
from tests.data.server import BODY, Server, everything_in, put


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
