"""Omniglot: characters of many alphabets, each drawn by twenty people."""

import io
import re
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from fjdl.checks import at_least
from fjdl.data.blank import found_or_blank
from fjdl.data.files import RemoteFile, find_or_download, require_sound
from fjdl.data.source import Source, Splits, from_arrays
from fjdl.errors import DataError, DataFormatError

HOME = "https://raw.githubusercontent.com/brendenlake/omniglot/"
VERSIONS = ("057f034baf2ecb8530bc5710e5a23584d2a519cc", "master")
SIDE = 105  # pixels of a drawing
DRAWINGS = 20  # of each character
LARGEST = 2**16  # bytes of a file in the archives; the largest has 419
MOST = 2**16  # files of an archive; the larger of the two has 3,120


def _file(name: str, size: int, sha256: str) -> RemoteFile:
    urls = tuple(f"{HOME}{version}/python/{name}" for version in VERSIONS)
    return RemoteFile(name=name, urls=urls, size=size, sha256=sha256)


FILES = (
    _file(
        "images_background_small1.zip",
        1_319_022,
        "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4",
    ),
    _file(
        "images_background_small2.zip",
        1_580_917,
        "3ccaa407515a8778e5d0861875af38b17e418f301ad5bb3b5a6b65d901a41c7f",
    ),
)


class Drawings(NamedTuple):
    """Drawings of characters, in the order of the characters' names and of the files'."""

    images: np.ndarray  # uint8 [n, side, side, 1], ink 255 on 0
    names: list[str]  # of the character of each, such as "Greek/character01"


def omniglot(*, data_dir: Path | str | None = None, size: int = SIDE, validation: str = "Early_Aramaic") -> Splits:
    """Drawings of characters as uint8 [size, size, 1] with ink 255 on 0 (Lake, Salakhutdinov & Tenenbaum, 2015).

    No character is in two parts, and each has 20 drawings. Those of the file `images_background_small1.zip`, 136 of 5
    alphabets, are for training but for the alphabet `validation`: characters of the test are of other alphabets too.
    These are the 106 of Japanese, Sanskrit and Tagalog in `images_background_small2.zip`; the 50 Greek and Latin ones
    there are the same drawings as in the first file and are left out. An example is `{"image", "label": int32}`; labels
    of the training part begin at 0, then come those of validation and test. Smaller than 105 x 105, an image is scaled,
    with the filter widened as far as it shrinks (bilinear). Raises `DataError` where a file is missing, damaged or not
    the official one, and `ValueError` where the first file has no such alphabet, or no other.
    """
    at_least(1, size=size)

    def find() -> list[Drawings]:
        return [read_drawings(find_or_download("omniglot", file, data_dir=data_dir), size=size) for file in FILES]

    whole, others = found_or_blank("omniglot", find, lambda _: _made_up(size))
    characters = sorted({*whole.names})
    held_out = [name for name in characters if name.startswith(f"{validation}/")]
    train = [name for name in characters if name not in held_out]
    if not (held_out and train):
        alphabets = ", ".join(dict.fromkeys(name.partition("/")[0] for name in characters))
        raise ValueError(f"validation must be one of several alphabets, of {alphabets}, got {validation!r}")
    test = sorted({*others.names} - {*characters})
    classes = [*train, *held_out, *test]
    numbers = {name: number for number, name in enumerate(classes)}

    def part(drawings: Drawings, names: set[str]) -> Source:
        rows = [row for row, name in enumerate(drawings.names) if name in names]
        labels = np.array([numbers[drawings.names[row]] for row in rows], np.int32)
        return from_arrays({"image": drawings.images[rows], "label": labels})

    return Splits(
        name="omniglot",
        train=part(whole, {*train}),
        validation=part(whole, {*held_out}),
        test=part(others, {*test}),
        classes=tuple(classes),
    )


def read_drawings(path: Path | str, *, size: int = SIDE) -> Drawings:
    """The drawings in an archive of files `<set>/<alphabet>/<character>/<drawing>.png`; nothing is unpacked to disk.

    Raises `DataError` for a file that is no zip archive, has more than 65,536 members or one of more than 64 KiB, or
    holds an image that is damaged, in colour or not of 105 x 105 pixels; other members are left out.
    """
    images, names = [], []
    try:
        with zipfile.ZipFile(path) as archive:
            require_sound(archive, path)
            members = sorted(archive.infolist(), key=lambda member: member.filename)
            if len(members) > MOST:
                raise DataFormatError(path, None, "the archive", f"have at most {MOST} members", f"{len(members)}")
            for member in members:
                if found := re.fullmatch(r"[^/]+/([^/]+/[^/]+)/[^/]+\.png", member.filename):
                    images.append(_drawing(path, archive, member, size))
                    names.append(found[1])
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, zlib.error) as error:
        raise DataFormatError(path, None, "", "be a readable zip archive", f"{' '.join(str(error).split())}") from error
    if not images:
        raise DataFormatError(path, None, "", "hold images of characters", "none")
    return Drawings(np.stack(images)[..., None], names)


def _drawing(path: Path | str, archive: zipfile.ZipFile, member: zipfile.ZipInfo, size: int) -> np.ndarray:
    place = f"{path}, {member.filename}"
    if member.file_size > LARGEST:
        raise DataFormatError(place, None, "the file", f"have at most {LARGEST} bytes", f"{member.file_size}")
    with archive.open(member) as stream:
        content = stream.read(LARGEST)
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
            if image.mode not in ("1", "L") or image.size != (SIDE, SIDE):
                raise DataFormatError(
                    place, None, "the image", f"be grey and of {SIDE} x {SIDE}", f"{image.mode} {image.size}"
                )
            return 255 - np.asarray(image.convert("L").resize((size, size), Image.Resampling.BILINEAR))
    except DataError:
        raise
    except Exception as error:  # decoders raise whatever they like
        raise DataFormatError(place, None, "", "be a readable PNG image", f"{' '.join(str(error).split())}") from error


def _made_up(size: int) -> list[Drawings]:
    """Noise in the place of drawings, of as many characters as there are."""
    first = {"Balinese": 24, "Early_Aramaic": 22, "Greek": 24, "Korean": 40, "Latin": 26}
    found, rng = [], np.random.default_rng(0)
    for alphabets in (first, {"Sanskrit": 106}):
        characters = [f"{name}/character{k:03}" for name, count in alphabets.items() for k in range(count)]
        names = [name for name in characters for _ in range(DRAWINGS)]
        found.append(Drawings(rng.integers(0, 256, (len(names), size, size, 1), np.uint8), names))
    return found
