"""BCCD, photographs of blood cells with boxes, in the layout of Pascal VOC."""

from dataclasses import replace
from pathlib import Path

from fjdl.data.blank import found_or_blank
from fjdl.data.files import find_folder
from fjdl.data.source import Splits
from fjdl.data.vision.fitting import Size
from fjdl.data.vision.parts import as_size, blank_detection, in_memory
from fjdl.data.vision.voc import voc

HOME = "https://github.com/Shenggan/BCCD_Dataset"
CLASSES = ("RBC", "WBC", "Platelets")
LENGTHS = (205, 87, 72)
MOST = 30  # boxes of an image


def bccd(
    *,
    data_dir: Path | str | None = None,
    size: int | Size = (240, 320),
    stretch: bool = False,
    streamed: bool = False,
    skip_bad: bool = False,
) -> Splits:
    """364 photographs of blood with boxes around red and white cells and platelets (Shenggan et al. 2017).

    The official lists give 205 for training, 87 for validation and 72 for the test, of 640 x 480 pixels and with 30
    boxes at most. Examples are those of `voc`; they are held in memory unless `streamed`. Two boxes without an area, in
    `BloodImage_00338.xml` and `BloodImage_00343.xml`, are left out. Raises `DataError` where the folder
    `bccd/BCCD` is missing or a file in it is damaged.
    """
    size = as_size(size)

    def find() -> Splits:
        root = find_folder("bccd", "BCCD/ImageSets/Main/train.txt", home=HOME, data_dir=data_dir) / "BCCD"
        splits = replace(voc(root, size=size, stretch=stretch, classes=CLASSES, skip_bad=skip_bad), name="bccd")
        return splits if streamed else in_memory(splits)

    more = {"difficult": bool}
    make = blank_detection("bccd", size, most=MOST, more=more, lengths=LENGTHS, classes=CLASSES, streamed=streamed)
    return found_or_blank("bccd", find, make)
