"""Small files in the two official forms of CIFAR."""

import dataclasses
import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np

from fjdl.data.batch_files import BatchFiles
from fjdl.data.source import Splits, to_arrays

COUNT = 3
FORMS = ["CIFAR10", "CIFAR100", "CIFAR100_COARSE"]


def shrink(form: BatchFiles, **changes: Any) -> BatchFiles:
    return dataclasses.replace(form, files=tuple((name, COUNT) for name, _ in form.files), **changes)


def contents(form: BatchFiles, rng: np.random.Generator) -> tuple[dict[str, bytes], np.ndarray, np.ndarray]:
    """The files of one form, the pixels as published (red, green, blue planes), the fine labels."""
    pixels = rng.integers(0, 256, (len(form.files), COUNT, 3072), np.uint8)
    labels = rng.integers(0, 10, (len(form.files), COUNT), np.uint8)
    encode = binary if form.files[0][0].endswith(".bin") else pickled
    wide = "100" in form.folder
    files = {name: encode(x, y, wide) for (name, _), x, y in zip(form.files, pixels, labels, strict=True)}
    return files, pixels.reshape(-1, 3, 32, 32), labels.reshape(-1)


def binary(pixels: np.ndarray, labels: np.ndarray, wide: bool) -> bytes:
    """`wide` records carry the coarse label before the fine one; here they add up to 12."""
    return np.concatenate([*([12 - labels[:, None]] if wide else []), labels[:, None], pixels], axis=1).tobytes()


def pickled(pixels: np.ndarray, labels: np.ndarray, wide: bool) -> bytes:
    fine = [int(label) for label in labels]
    names: dict[bytes, Any] = {b"fine_labels": fine, b"coarse_labels": [12 - k for k in fine]} if wide else {}
    return pickle.dumps({b"data": pixels, b"labels": fine, b"batch_label": b"x", **names}, protocol=2)


def write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def archive(form: BatchFiles, files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, data in sorted(files.items(), reverse=True):
            member = tarfile.TarInfo(f"{form.folder}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def everything(splits: Splits) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation put together in an order of their own, then the test part."""
    parts = [to_arrays(part) for part in (splits.train, splits.validation, splits.test)]
    return tuple(np.concatenate([part[name] for part in parts]) for name in ("image", "label"))  # type: ignore[return-value]


def assert_holds(splits: Splits, pixels: np.ndarray, labels: np.ndarray) -> None:
    images, found = everything(splits)
    assert (images.shape[1:], images.dtype, found.dtype) == ((32, 32, 3), np.uint8, np.int32)
    rows = {image.tobytes(): label for image, label in zip(images, found, strict=True)}
    assert rows == {x.transpose(1, 2, 0).tobytes(): y for x, y in zip(pixels, labels, strict=True)}
    tests = to_arrays(splits.test)["image"]
    np.testing.assert_array_equal(tests, pixels[-COUNT:].transpose(0, 2, 3, 1))
