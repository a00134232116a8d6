"""The ISBI 2012 challenge: membranes of neurons under an electron microscope."""

from functools import partial
from pathlib import Path

import numpy as np

from fjdl.checks import within
from fjdl.data.blank import found_or_blank
from fjdl.data.files import find_folder
from fjdl.data.source import Splits, subset
from fjdl.data.vision.fitting import Size
from fjdl.data.vision.images import fitted_reader
from fjdl.data.vision.masks import blank_segmentation, segment_source
from fjdl.data.vision.parts import as_size, in_memory, three_parts

HOME = "https://github.com/zhixuhao/unet (data/membrane)"
CLASSES = ("membrane", "cell")
IMAGES = 30


def isbi_membrane(
    *,
    fold: int = 0,
    folds: int = 5,
    data_dir: Path | str | None = None,
    size: int | Size = 512,
    streamed: bool = False,
) -> Splits:
    """30 neighbouring slices of a nerve cord, grey and of 512 x 512 pixels (Arganda-Carreras et al. 2015).

    The slices are divided in their order into `folds` parts of the same length, so that few slices have a neighbour in
    another part: part `fold` is the test part, the next one, or the first after the last, the validation part, and the
    others are for training; at five folds 18, 6 and 6. Examples are `{"image": uint8 [*size, 1], "mask": uint8
    [*size]}` with class 0, membrane, where the file of the mask is 0, and class 1, the inside of cells, where it is
    255. They are held in memory unless `streamed`. Raises `ValueError` for fewer than 3 or more than 30 folds and for
    another fold; raises `DataError` where the folder `isbi-membrane` is missing or a file in it is damaged.
    """
    within(f"[3, {IMAGES}]", folds=folds)
    within(f"[0, {folds - 1}]", fold=fold)
    size = as_size(size)
    blocks = np.array_split(np.arange(IMAGES), folds)
    test, validation = blocks[fold], blocks[(fold + 1) % folds]
    train = np.setdiff1d(np.arange(IMAGES), np.concatenate([test, validation]))
    parts = (train, validation, test)
    divided = partial(three_parts, "isbi_membrane", classes=CLASSES, validation=0.0, split_seed=0)

    def find() -> Splits:
        root = find_folder("isbi-membrane", "train/image/0.png", home=HOME, data_dir=data_dir) / "train"
        pairs = [(root / "image" / f"{number}.png", root / "label" / f"{number}.png") for number in range(IMAGES)]
        whole = segment_source(pairs, classes=2, size=size, channels=1, values={0: 0, 255: 1})
        splits = divided([subset(whole, part) for part in parts], reader=fitted_reader(size, channels=1))
        return splits if streamed else in_memory(splits)

    lengths = (len(train), len(validation), len(test))
    make = blank_segmentation("isbi_membrane", (*size, 1), classes=CLASSES, lengths=lengths, streamed=streamed)
    return found_or_blank("isbi_membrane", find, make)
