"""CIFAR in each of its published forms, with a few images a file; the real one where it is there."""

import dataclasses
import hashlib
import io
import os
import pickle
import socket
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fjdl.data import cifar
from fjdl.data.cifar import CIFAR10, CIFAR100, cifar10, cifar100, read_binary, read_pickled
from fjdl.data.source import to_arrays
from fjdl.errors import DataError
from tests.data.cifar_files import FORMS, archive, assert_holds, contents, everything, shrink, write
from tests.support import require_data


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network, no folders but those of the test, and files of three images."""

    def refuse(*_: object) -> None:
        raise OSError("this test must not use the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("FJDL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("FJDL_DATA_DIR", raising=False)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FORMS:
        monkeypatch.setattr(cifar, name, tuple(shrink(form) for form in getattr(cifar, name)))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("below", ["", "cifar10", "bare"])
def test_cifar10_is_found_unpacked(tmp_path, rng, number, below):
    form = cifar.CIFAR10[number]
    files, pixels, labels = contents(form, rng)
    write(tmp_path / "data" / ("cifar10" if below == "bare" else Path(below) / form.folder), files)
    splits = cifar10(data_dir=tmp_path / "data", validation=2)
    assert (splits.train.length, splits.validation.length, splits.test.length) == (13, 2, 3)
    assert_holds(splits, pixels, labels)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("coarse", [False, True])
def test_cifar100_has_fine_and_coarse_labels(tmp_path, rng, number, coarse):
    form = cifar.CIFAR100[number]
    files, pixels, labels = contents(form, rng)
    write(tmp_path / form.folder, files)
    splits = cifar100(data_dir=tmp_path, validation=1, coarse=coarse)
    assert_holds(splits, pixels, 12 - labels.astype(int) if coarse else labels)
    assert len(splits.classes) == (20 if coarse else 100)


@pytest.mark.parametrize("number", [0, 1])
def test_an_official_archive_is_verified_and_read_in_place(tmp_path, rng, monkeypatch, number):
    files, pixels, labels = contents(shrink(CIFAR10[number]), rng)
    data = archive(CIFAR10[number], files)
    official = dataclasses.replace(CIFAR10[number].archive, size=len(data), sha256=hashlib.sha256(data).hexdigest())
    forms = [shrink(form) for form in CIFAR10]
    forms[number] = shrink(CIFAR10[number], archive=official)
    monkeypatch.setattr(cifar, "CIFAR10", tuple(forms))
    (tmp_path / official.name).write_bytes(data)
    assert_holds(cifar10(data_dir=tmp_path, validation=2), pixels, labels)
    assert [path.name for path in tmp_path.iterdir()] == [official.name]
    (tmp_path / official.name).write_bytes(data[:-1] + b"?")
    with pytest.raises(DataError, match=f"{official.name} must have sha256"):
        cifar10(data_dir=tmp_path)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE])
def test_a_member_that_is_not_a_file_is_refused(tmp_path, monkeypatch, kind):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, _ in CIFAR10[0].files:
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
    offer(tmp_path, monkeypatch, stream.getvalue())
    with pytest.raises(DataError, match=r"data_batch_1\.bin must be a file of at most 30730000 bytes"):
        cifar10(data_dir=tmp_path)


def test_an_archive_without_its_files_or_with_a_large_one_is_refused(tmp_path, monkeypatch):
    offer(tmp_path, monkeypatch, archive(CIFAR10[0], {"other.bin": b"1"}))
    with pytest.raises(DataError, match=r"must hold cifar-10-batches-bin/data_batch_1\.bin, got no such member"):
        cifar10(data_dir=tmp_path)
    offer(tmp_path, monkeypatch, archive(CIFAR10[0], {"data_batch_1.bin": b"12"}), largest=1)
    with pytest.raises(DataError, match="must be a file of at most 1 bytes, got 2 bytes"):
        cifar10(data_dir=tmp_path)
    offer(tmp_path, monkeypatch, archive(CIFAR10[0], {"data_batch_1.bin": bytes(3072)})[:60])
    with pytest.raises(DataError, match="the archive must be readable"):
        cifar10(data_dir=tmp_path)


def offer(folder: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, **changes: Any) -> None:
    """Puts `data` where the binary archive belongs, as if it were the official one."""
    official = dataclasses.replace(CIFAR10[0].archive, size=len(data), sha256=hashlib.sha256(data).hexdigest())
    (folder / official.name).write_bytes(data)
    monkeypatch.setattr(cifar, "CIFAR10", (dataclasses.replace(CIFAR10[0], archive=official, **changes), CIFAR10[1]))


@pytest.mark.usefixtures("small")
def test_the_folder_that_is_given_comes_before_the_environment_and_the_cache(tmp_path, rng, monkeypatch):
    expected = {}
    for name in ("given", "environment", "cache"):
        files, pixels, labels = contents(cifar.CIFAR10[1], rng)
        expected[name] = pixels, labels
        write(tmp_path / name / "cifar10" / "cifar-10-batches-py", files)
    monkeypatch.setenv("FJDL_DATA_DIR", str(tmp_path / "environment"))
    assert_holds(cifar10(data_dir=tmp_path / "given", validation=2), *expected["given"])
    assert_holds(cifar10(validation=2), *expected["environment"])
    monkeypatch.setattr("fjdl.data.batch_files.search_path", lambda data_dir: [tmp_path / "none", tmp_path / "cache"])
    assert_holds(cifar10(validation=2), *expected["cache"])


@pytest.mark.usefixtures("small")
def test_a_missing_file_among_others_is_named(tmp_path, rng):
    files, _, _ = contents(cifar.CIFAR10[0], rng)
    write(tmp_path / "cifar-10-batches-bin", files)
    (tmp_path / "cifar-10-batches-bin" / "data_batch_4.bin").unlink()
    with pytest.raises(DataError, match=r"data_batch_4\.bin must lie beside the other files"):
        cifar10(data_dir=tmp_path)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-3073], r"test_batch\.bin: the file must hold 3 examples, got 2"),
        (lambda data: data[:-1], r"test_batch\.bin: a binary batch must be records of 3073 bytes, got 9218 bytes"),
        (lambda data: b"", "records of 3073 bytes, got 0 bytes"),
        (lambda data: b"\x0a" + data[1:], r"labels must lie in \[0, 10\), got 10"),
    ],
)
def test_a_binary_file_that_is_not_official_is_refused(tmp_path, rng, change, message):
    files, _, _ = contents(cifar.CIFAR10[0], rng)
    files["test_batch.bin"] = change(files["test_batch.bin"])
    write(tmp_path / "cifar-10-batches-bin", files)
    with pytest.raises(DataError, match=message):
        cifar10(data_dir=tmp_path)


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path):
    write(tmp_path / "cifar-10-batches-bin", {name: b"" for name, _ in CIFAR10[0].files})
    with open(tmp_path / "cifar-10-batches-bin" / "data_batch_1.bin", "wb") as stream:
        stream.truncate(2**40)
    with pytest.raises(DataError, match="must have at most 30730000 bytes, got more"):
        cifar10(data_dir=tmp_path)


def test_a_coarse_label_out_of_range_is_refused():
    record = bytes([20, 0]) + bytes(3072)
    with pytest.raises(DataError, match=r"f: labels must lie in \[0, 20\), got 20"):
        read_binary(record, path="f", classes=(20, 100), use=1)


PIXELS = np.zeros((2, 3072), np.uint8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({b"data": PIXELS[:, :-1], b"labels": [0, 1]}, r"data must be uint8\[n, 3072\], got uint8\[2, 3071\]"),
        ({b"data": PIXELS.astype(np.int32), b"labels": [0, 1]}, r"got int32\[2, 3072\]"),
        ({b"data": b"x", b"labels": [0, 1]}, "got bytes"),
        ({b"labels": [0, 1]}, "got NoneType"),
        ({b"data": PIXELS, b"labels": [0]}, "labels must be a list of 2 integers, got 1 entries"),
        ({b"data": PIXELS, b"labels": [0, "1"]}, "labels must be a list of 2 integers, got 2 entries"),
        ({b"data": PIXELS, b"labels": [0, True]}, "labels must be a list of 2 integers"),
        ({b"data": PIXELS}, "labels must be a list of 2 integers, got NoneType"),
        ({b"data": PIXELS, b"labels": [0, 10]}, r"labels must lie in \[0, 10\), got 0xa"),
        ({b"data": PIXELS, b"labels": [-1, 1]}, r"labels must lie in \[0, 10\), got -0x1"),
    ],
)
def test_a_pickle_that_is_not_a_batch_is_refused(content, message):
    with pytest.raises(DataError, match=message):
        read_pickled(pickle.dumps(content, protocol=2), path="f", classes=10, use="labels")


class Command:
    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (1,)


@pytest.mark.usefixtures("small")
def test_a_hostile_pickle_is_refused_and_not_run(tmp_path, rng):
    files, _, _ = contents(cifar.CIFAR10[1], rng)
    files["data_batch_1"] = pickle.dumps({b"data": Command()}, protocol=2)
    write(tmp_path / "cifar-10-batches-py", files)
    with pytest.raises(DataError, match=r"data_batch_1: the pickle must be plain data, got the global posix\._exit"):
        cifar10(data_dir=tmp_path)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("validation", [0, -1, 15])
def test_a_validation_count_that_leaves_no_examples_is_refused(tmp_path, rng, validation):
    write(tmp_path / "cifar10" / "cifar-10-batches-bin", contents(cifar.CIFAR10[0], rng)[0])
    with pytest.raises(ValueError, match=rf"validation must lie in \[1, 14\], got {validation}"):
        cifar10(data_dir=tmp_path, validation=validation)


@pytest.mark.parametrize(("load", "form"), [(cifar10, CIFAR10[0]), (cifar100, CIFAR100[0])])
def test_without_files_and_network_the_error_says_what_to_put_where(tmp_path, monkeypatch, load, form):
    monkeypatch.setattr("fjdl.data.batch_files.search_path", lambda data_dir: [tmp_path / "none"])
    monkeypatch.setattr("fjdl.data.files.search_path", lambda data_dir: [tmp_path / "cache"])
    with pytest.raises(DataError, match=f"cannot download {form.archive.name}") as caught:
        load()
    for part in (*form.archive.urls, form.archive.sha256, str(form.archive.size)):
        assert part in str(caught.value)


def test_names_and_archives_are_those_that_are_published():
    assert (len(cifar.FINE), len({*cifar.FINE}), sorted(cifar.FINE)) == (100, 100, list(cifar.FINE))
    assert (len(cifar.COARSE), sorted(cifar.COARSE)) == (20, list(cifar.COARSE))
    assert sorted(cifar.OBJECTS) == list(cifar.OBJECTS)
    for form in (*CIFAR10, *CIFAR100):
        assert form.archive.urls == (f"https://www.cs.toronto.edu/~kriz/{form.archive.name}",)
        assert len(bytes.fromhex(form.archive.sha256)) == 32
        assert sum(count for _, count in form.files) == 60_000


@pytest.mark.slow
def test_the_real_images_have_the_published_moments(tmp_path):
    sheets = require_data("cifar10")
    script = sheets.parent / "unpack_cifar10.py"
    if not script.is_file():
        pytest.skip(f"{script} is not there to unpack the sheets")
    subprocess.run([sys.executable, script, tmp_path / "cifar-10-batches-bin"], check=True)
    splits = cifar10(data_dir=tmp_path)
    assert (splits.train.length, splits.validation.length, splits.test.length) == (45_000, 5_000, 10_000)
    images, labels = (array[:50_000] for array in everything(splits))
    np.testing.assert_array_equal(np.bincount(labels), [5000] * 10)
    np.testing.assert_array_equal(np.bincount(to_arrays(splits.test)["label"]), [1000] * 10)
    counts = np.stack([np.bincount(images[..., channel].reshape(-1), minlength=256) for channel in range(3)])
    values = np.arange(256) / 255
    mean = counts @ values / counts.sum(axis=1)
    std = np.sqrt(counts @ values**2 / counts.sum(axis=1) - mean**2)
    np.testing.assert_array_equal(mean.round(5), [0.49140, 0.48216, 0.44653])
    np.testing.assert_array_equal(std.round(5), [0.24703, 0.24348, 0.26159])
