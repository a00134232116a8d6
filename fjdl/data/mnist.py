"""MNIST and Fashion-MNIST from their four official IDX files."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from fjdl.data.blank import Blank, blank_images, found_or_blank
from fjdl.data.files import RemoteFile, find_or_download, read_gzip
from fjdl.data.idx import parse_idx
from fjdl.data.image_folder import square_reader
from fjdl.data.source import Source, Splits, from_arrays
from fjdl.data.splits import with_validation
from fjdl.errors import DataFormatError

LARGEST = 16 + 60_000 * 28 * 28  # bytes of the training images, header included

MNIST_MIRRORS = (
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)
FASHION_MIRRORS = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/b2617bb6d3ffa2e429640350f613e3291e10b141/data/fashion/",
)
DIGITS = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def _file(mirrors: tuple[str, ...], name: str, size: int, sha256: str) -> RemoteFile:
    return RemoteFile(name=name, urls=tuple(mirror + name for mirror in mirrors), size=size, sha256=sha256)


MNIST_FILES = tuple(
    _file(MNIST_MIRRORS, *row)
    for row in (
        ("train-images-idx3-ubyte.gz", 9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        ("train-labels-idx1-ubyte.gz", 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        ("t10k-images-idx3-ubyte.gz", 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        ("t10k-labels-idx1-ubyte.gz", 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    )
)
FASHION_FILES = tuple(
    _file(FASHION_MIRRORS, *row)
    for row in (
        ("train-images-idx3-ubyte.gz", 26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        ("train-labels-idx1-ubyte.gz", 29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        ("t10k-images-idx3-ubyte.gz", 4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        ("t10k-labels-idx1-ubyte.gz", 5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    )
)


def mnist(*, data_dir: Path | str | None = None, validation: int = 5000, split_seed: int = 0) -> Splits:
    """70,000 handwritten digits as uint8 [28, 28, 1] from 0 to 255, ten classes (LeCun, Cortes & Burges, 1998).

    `validation` images are drawn from the 60,000 of the official training part; the 10,000 of the test part
    stay as they are. Raises `DataError` where a file is missing, damaged or not the official one.
    """
    return _load("mnist", MNIST_FILES, DIGITS, data_dir=data_dir, validation=validation, split_seed=split_seed)


def fashion_mnist(*, data_dir: Path | str | None = None, validation: int = 5000, split_seed: int = 0) -> Splits:
    """70,000 pictures of clothes as uint8 [28, 28, 1] from 0 to 255, ten classes (Xiao, Rasul & Vollgraf, 2017).

    Parts and errors as for `mnist`.
    """
    return _load(
        "fashion-mnist", FASHION_FILES, CLOTHES, data_dir=data_dir, validation=validation, split_seed=split_seed
    )


def read_pair(images: Path, labels: Path, *, classes: int) -> Source:
    """The examples `{"image": uint8 [28, 28, 1], "label": int32}` of one gzipped IDX file of images and one of labels.

    Raises `DataError` where a file is damaged, the images are not 28 × 28 bytes, the counts differ, or a label lies
    outside `[0, classes)`.
    """
    pixels = parse_idx(read_gzip(images, limit=LARGEST), path=images)
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (28, 28):
        raise DataFormatError(images, None, "images", "be uint8[n, 28, 28]", f"{pixels.dtype}{list(pixels.shape)}")
    targets = parse_idx(read_gzip(labels, limit=LARGEST), path=labels)
    if targets.dtype != np.uint8 or targets.shape != pixels.shape[:1]:
        raise DataFormatError(
            labels, None, "labels", f"be uint8[{len(pixels)}]", f"{targets.dtype}{list(targets.shape)}"
        )
    if targets.max(initial=0) >= classes:
        raise DataFormatError(labels, None, "labels", f"lie in [0, {classes})", f"{targets.max()}")
    return from_arrays({"image": pixels[..., None], "label": targets.astype(np.int32)})


def _load(
    name: str,
    files: tuple[RemoteFile, ...],
    classes: tuple[str, ...],
    *,
    data_dir: Path | str | None,
    validation: int,
    split_seed: int,
) -> Splits:
    def find() -> list[Source]:
        paths = [find_or_download(name, file, data_dir=data_dir) for file in files]
        return [read_pair(*pair, classes=len(classes)) for pair in (paths[:2], paths[2:])]

    def make(_: Blank) -> list[Source]:
        return [blank_images(length, (28, 28, 1), classes=len(classes)) for length in (60_000, 10_000)]

    whole, test = found_or_blank(name, find, make)
    splits = with_validation(name, whole, test, classes=classes, validation=validation, seed=split_seed)
    return replace(splits, reader=square_reader(size=28, channels=1))
