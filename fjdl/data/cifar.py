"""CIFAR-10 and CIFAR-100 in their binary and their pickled form."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from fjdl.data.batch_files import BatchFiles, Part, load
from fjdl.data.blank import Blank, blank_images, found_or_blank
from fjdl.data.files import RemoteFile
from fjdl.data.image_folder import square_reader
from fjdl.data.pickled_arrays import read_array_pickle
from fjdl.data.pickles import short
from fjdl.data.source import Source, Splits, from_arrays
from fjdl.data.splits import with_validation
from fjdl.errors import DataFormatError

HOME = "https://www.cs.toronto.edu/~kriz/"
PIXELS = 3 * 32 * 32
LARGEST_PICKLE = 2**28  # bytes; the largest official one has 155,249,918

OBJECTS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FINE = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest",
    "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard",
    "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
    "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum",
    "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper",
    "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone",
    "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf",
    "woman", "worm",
)  # fmt: skip
COARSE = (
    "aquatic_mammals", "fish", "flowers", "food_containers", "fruit_and_vegetables", "household_electrical_devices",
    "household_furniture", "insects", "large_carnivores", "large_man-made_outdoor_things",
    "large_natural_outdoor_scenes", "large_omnivores_and_herbivores", "medium_mammals", "non-insect_invertebrates",
    "people", "reptiles", "small_mammals", "trees", "vehicles_1", "vehicles_2",
)  # fmt: skip


def cifar10(*, data_dir: Path | str | None = None, validation: int = 5000, split_seed: int = 0) -> Splits:
    """60,000 colour photographs as uint8 [32, 32, 3] from 0 to 255, ten classes (Krizhevsky, 2009).

    In each folder of `fjdl.data.files.search_path`, and first in `cifar10/` there, these forms are looked for:
    `cifar-10-batches-bin/`, `cifar-10-batches-py/`, `cifar-10-binary.tar.gz`, `cifar-10-python.tar.gz`; the six `.bin`
    files may also lie in `cifar10/` or `data_dir` themselves. Where none is found the binary archive is downloaded into
    the cache. Archives are verified and read in place; nothing that a pickle names is run. `validation` images are
    drawn from the 50,000 of the official training part; the 10,000 of the test part stay as they are. Raises
    `DataError` where a file is missing, damaged or not of the official form.
    """
    return _load("cifar10", CIFAR10, OBJECTS, data_dir=data_dir, validation=validation, split_seed=split_seed)


def cifar100(
    *, data_dir: Path | str | None = None, validation: int = 5000, split_seed: int = 0, coarse: bool = False
) -> Splits:
    """60,000 colour photographs as uint8 [32, 32, 3] from 0 to 255, 100 classes (Krizhevsky, 2009).

    `coarse` gives the labels of the 20 superclasses instead. Search, parts and errors as for `cifar10`, with
    `cifar100/`, `cifar-100-binary/` and `cifar-100-python/`.
    """
    forms, classes = (CIFAR100_COARSE, COARSE) if coarse else (CIFAR100, FINE)
    return _load("cifar100", forms, classes, data_dir=data_dir, validation=validation, split_seed=split_seed)


def read_binary(data: bytes, *, path: Path | str, classes: tuple[int, ...], use: int) -> Part:
    """Images and labels of a binary batch: records of `len(classes)` label bytes and 3 × 32 × 32 pixels.

    Byte `k` of a record must lie below `classes[k]`; byte `use` gives the labels. Raises `DataError` for a partial
    record and for a label out of range.
    """
    record = len(classes) + PIXELS
    if not data or len(data) % record:
        raise DataFormatError(path, None, "a binary batch", f"be records of {record} bytes", f"{len(data)} bytes")
    rows = np.frombuffer(data, np.uint8).reshape(-1, record)
    for labels, count in zip(rows.T, classes, strict=False):
        if labels.max() >= count:
            raise DataFormatError(path, None, "labels", f"lie in [0, {count})", f"{labels.max()}")
    return _images(rows[:, len(classes) :]), rows[:, use].astype(np.int32)


def read_pickled(data: bytes, *, path: Path | str, classes: int, use: str) -> Part:
    """Images and labels of a pickled batch: `data` as uint8 [n, 3072] and a list of labels under the name `use`.

    Raises `DataError` for a pickle that is anything but such a dictionary, and for a label outside `[0, classes)`.
    """
    content = read_array_pickle(data, path=path)
    pixels, labels = content.get(b"data"), content.get(use.encode())
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (PIXELS,):
        found = f"{pixels.dtype}{list(pixels.shape)}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise DataFormatError(path, None, "data", f"be uint8[n, {PIXELS}]", f"{found}")
    if not isinstance(labels, list) or len(labels) != len(pixels) or not all(type(label) is int for label in labels):
        found = f"{len(labels)} entries" if isinstance(labels, list) else type(labels).__name__
        raise DataFormatError(path, None, f"{use}", f"be a list of {len(pixels)} integers", f"{found}")
    if wrong := [label for label in labels if not 0 <= label < classes]:
        raise DataFormatError(path, None, f"{use}", f"lie in [0, {classes})", f"{short(hex(wrong[0]))}")
    return _images(pixels), np.array(labels, np.int32)


def _images(rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _load(
    name: str,
    forms: tuple[BatchFiles, ...],
    classes: tuple[str, ...],
    *,
    data_dir: Path | str | None,
    validation: int,
    split_seed: int,
) -> Splits:
    def find() -> list[Source]:
        *training, test = load(name, forms, data_dir=data_dir)
        return [_joined(training), _joined([test])]

    def make(_: Blank) -> list[Source]:
        return [blank_images(length, (32, 32, 3), classes=len(classes)) for length in (50_000, 10_000)]

    whole, test = found_or_blank(name, find, make)
    splits = with_validation(name, whole, test, classes=classes, validation=validation, seed=split_seed)
    return replace(splits, reader=square_reader(size=32))


def _joined(parts: list[Part]) -> Source:
    images, labels = zip(*parts, strict=True)
    return from_arrays({"image": np.concatenate(images), "label": np.concatenate(labels)})


def _archive(name: str, size: int, sha256: str) -> RemoteFile:
    return RemoteFile(name=name, urls=(HOME + name,), size=size, sha256=sha256)


_SIX = tuple((name, 10_000) for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"))
_TWO = (("train", 50_000), ("test", 10_000))


def _binary_files(names: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    return tuple((f"{name}.bin", count) for name, count in names)


CIFAR10 = (
    BatchFiles(
        archive=_archive(
            "cifar-10-binary.tar.gz", 170_052_171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
        ),
        folder="cifar-10-batches-bin",
        files=_binary_files(_SIX),
        largest=10_000 * (1 + PIXELS),
        read=partial(read_binary, classes=(10,), use=0),
    ),
    BatchFiles(
        archive=_archive(
            "cifar-10-python.tar.gz", 170_498_071, "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
        ),
        folder="cifar-10-batches-py",
        files=_SIX,
        largest=LARGEST_PICKLE,
        read=partial(read_pickled, classes=10, use="labels"),
    ),
)


def _cifar100(*, byte: int, name: str, classes: int) -> tuple[BatchFiles, ...]:
    binary = BatchFiles(
        archive=_archive(
            "cifar-100-binary.tar.gz", 168_513_733, "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"
        ),
        folder="cifar-100-binary",
        files=_binary_files(_TWO),
        largest=50_000 * (2 + PIXELS),
        read=partial(read_binary, classes=(len(COARSE), len(FINE)), use=byte),
    )
    pickled = BatchFiles(
        archive=_archive(
            "cifar-100-python.tar.gz", 169_001_437, "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"
        ),
        folder="cifar-100-python",
        files=_TWO,
        largest=LARGEST_PICKLE,
        read=partial(read_pickled, classes=classes, use=name),
    )
    return binary, pickled


CIFAR100 = _cifar100(byte=1, name="fine_labels", classes=len(FINE))
CIFAR100_COARSE = _cifar100(byte=0, name="coarse_labels", classes=len(COARSE))
