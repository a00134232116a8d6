import gzip
import socket
import struct
from pathlib import Path

import numpy as np
import pytest

from fjdl.data.mnist import FASHION_FILES, MNIST_FILES, fashion_mnist, mnist, read_pair
from fjdl.data.source import Splits, to_arrays
from fjdl.errors import DataError
from tests.support import require_data

MNIST_COUNTS = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]  # LeCun's training part, 0 to 9


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("this test must not use the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("FJDL_CACHE_DIR", str(tmp_path / "cache"))


def write_idx(path: Path, array: np.ndarray, *, code: int = 0x08) -> Path:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))
    return path


def whole_train_part(splits: Splits) -> tuple[np.ndarray, np.ndarray]:
    parts = [to_arrays(splits.train), to_arrays(splits.validation)]
    return tuple(np.concatenate([part[name] for part in parts]) for name in ("image", "label"))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("load", "folder", "mean", "std", "counts", "first"),
    [
        (mnist, "mnist", 0.1307, 0.3081, MNIST_COUNTS, 7),
        (fashion_mnist, "fashion-mnist", 0.2860, 0.3530, [6000] * 10, 9),
    ],
)
def test_the_official_files_have_the_published_counts_and_moments(load, folder, mean, std, counts, first):
    splits = load(data_dir=require_data(folder).parent)
    assert (splits.train.length, splits.validation.length, splits.test.length) == (55_000, 5_000, 10_000)
    images, labels = whole_train_part(splits)
    assert (images.shape, images.dtype, labels.dtype) == ((60_000, 28, 28, 1), np.uint8, np.int32)
    assert round(images.mean() / 255, 4) == mean
    assert round(float(np.sqrt(np.mean(np.square(images, dtype=np.float32)) - images.mean() ** 2)) / 255, 4) == std
    assert len(splits.classes) == 10
    np.testing.assert_array_equal(np.bincount(labels), counts)
    assert splits.test.element(0)["label"] == first


@pytest.mark.by_day_on_pin(1)
def test_the_validation_part_depends_on_its_seed_and_count_only():
    folder = require_data("mnist").parent
    first, again, other = (mnist(data_dir=folder, validation=100, split_seed=seed) for seed in (0, 0, 1))
    assert (first.train.length, first.validation.length) == (59_900, 100)
    picked = [to_arrays(splits.validation)["image"] for splits in (first, again, other)]
    np.testing.assert_array_equal(picked[0], picked[1])
    assert not np.array_equal(picked[0], picked[2])


@pytest.mark.parametrize("validation", [0, -1, 60_000])
def test_a_validation_count_that_leaves_no_examples_is_refused(validation):
    with pytest.raises(ValueError, match=rf"validation must lie in \[1, 59999\], got {validation}"):
        mnist(data_dir=require_data("mnist").parent, validation=validation)


def test_a_file_of_the_other_data_set_is_refused(tmp_path):
    folder = require_data("fashion-mnist")
    (tmp_path / "mnist").symlink_to(folder)
    with pytest.raises(DataError, match="must have 9912422 bytes, got 26421880"):
        mnist(data_dir=tmp_path)


def test_every_pinned_file_has_a_mirror_size_and_sha256():
    for file in (*MNIST_FILES, *FASHION_FILES):
        assert all(url.endswith("/" + file.name) for url in file.urls)
        assert any(url.startswith("https://") for url in file.urls)
        assert file.size > 0
        assert len(bytes.fromhex(file.sha256)) == 32


def test_a_pair_of_files_is_read_as_images_with_labels(tmp_path, rng):
    images = rng.integers(0, 256, (3, 28, 28), np.uint8)
    source = read_pair(
        write_idx(tmp_path / "i.gz", images), write_idx(tmp_path / "l.gz", np.array([9, 0, 4], np.uint8)), classes=10
    )
    np.testing.assert_array_equal(to_arrays(source)["image"][..., 0], images)
    np.testing.assert_array_equal(to_arrays(source)["label"], [9, 0, 4])
    example = source.element(1)
    assert (example["image"].shape, example["image"].dtype, example["label"].dtype) == ((28, 28, 1), np.uint8, np.int32)


IMAGES = np.zeros((3, 28, 28), np.uint8)
LABELS = np.array([0, 1, 9], np.uint8)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((3, 28, 27), np.uint8), LABELS, r"i.gz: images must be uint8\[n, 28, 28\], got uint8\[3, 28, 27\]"),
        (np.zeros((3, 784), np.uint8), LABELS, r"got uint8\[3, 784\]"),
        (LABELS, LABELS, r"got uint8\[3\]"),
        (IMAGES, LABELS[:2], r"l.gz: labels must be uint8\[3\], got uint8\[2\]"),
        (IMAGES, IMAGES, r"l.gz: labels must be uint8\[3\], got uint8\[3, 28, 28\]"),
        (IMAGES, np.array([0, 10, 1], np.uint8), r"l.gz: labels must lie in \[0, 10\), got 10"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(tmp_path, images, labels, message):
    with pytest.raises(DataError, match=message):
        read_pair(write_idx(tmp_path / "i.gz", images), write_idx(tmp_path / "l.gz", labels), classes=10)


def test_images_of_another_type_are_refused(tmp_path):
    images = write_idx(tmp_path / "i.gz", IMAGES, code=0x09)
    with pytest.raises(DataError, match=r"got int8\[3, 28, 28\]"):
        read_pair(images, write_idx(tmp_path / "l.gz", LABELS), classes=10)


def test_an_archive_larger_than_the_official_ones_is_refused(tmp_path):
    images = tmp_path / "i.gz"
    images.write_bytes(gzip.compress(bytes(47_040_017)))
    with pytest.raises(DataError, match="at most 47040016 bytes"):
        read_pair(images, write_idx(tmp_path / "l.gz", LABELS), classes=10)


def test_a_missing_file_without_network_names_url_sha256_and_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("fjdl.data.files.search_path", lambda data_dir: [tmp_path / "cache"])
    with pytest.raises(DataError, match="cannot download train-images-idx3-ubyte") as caught:
        mnist()
    file = MNIST_FILES[0]
    for part in (*file.urls, file.sha256, str(tmp_path / "cache" / "mnist")):
        assert part in str(caught.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
