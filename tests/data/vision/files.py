"""Small files in the official formats."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def save(path: Path, array: np.ndarray, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


def grey(path: Path, *, height: int = 8, width: int = 12, value: int = 7) -> Path:
    return save(path, np.full((height, width, 3), value, np.uint8))


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def box(name: str, corners: Sequence[object], more: str = "") -> str:
    sides = "".join(f"<{side}>{c}</{side}>" for side, c in zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True))
    return f"<object><name>{name}</name>{more}<bndbox>{sides}</bndbox></object>"


def annotation(*objects: str, width: object = 12, height: object = 8) -> str:
    size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
    return f"<annotation><filename>x.jpg</filename>{size}{''.join(objects)}</annotation>"


def voc_tree(root: Path, **annotations: str) -> Path:
    """One image for each annotation; the lists of training and test hold all of them, that of validation the first."""
    names = [*annotations]
    for name, text in annotations.items():
        grey(root / "JPEGImages" / f"{name}.png")
        write(root / "Annotations" / f"{name}.xml", text)
    for part, listed in (("train", names), ("val", names[:1]), ("test", names)):
        write(root / "ImageSets" / "Main" / f"{part}.txt", "".join(f"{name}\n" for name in listed))
    return root
