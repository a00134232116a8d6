"""Three parts of a data set of images from two or three lists of files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from fjdl.checks import at_least
from fjdl.data.blank import Blank
from fjdl.data.faults import leaves_out
from fjdl.data.source import PARTS, Example, Reader, Source, Splits, from_arrays, subset, to_arrays
from fjdl.data.splits import split, without_bad
from fjdl.data.vision.fitting import Size
from fjdl.data.vision.images import fitted_reader
from fjdl.data.vision.objects import Gathered, blank_objects, object_source
from fjdl.errors import DataFormatError, UsageError


def object_splits(
    name: str,
    found: Sequence[Gathered],
    *,
    size: Size,
    classes: Sequence[str] | None = None,
    most: int | None = None,
    stretch: bool = False,
    channels: int = 3,
    validation: float = 0.1,
    split_seed: int = 0,
) -> Splits:
    """Images with boxes as a data set, streamed; `found` are the training, validation and test part, or first and last.

    Of two parts the share `validation` of the first is drawn. `classes` are those that there are, sorted, and `most` is
    the largest number of boxes of an image, by default. Raises what `object_source` does, and `DataError` for a part
    without an image.
    """
    images = [objects for part in found for objects in part.images]
    known = classes if classes is not None else sorted({name for objects in images for name in objects.names})
    rows = most if most is not None else max((len(objects.boxes) for objects in images), default=0)
    sources = [
        object_source(part.images, classes=known, most=max(rows, 1), size=size, stretch=stretch, channels=channels)
        for part in found
    ]
    left_out = tuple(sentence for part in found for sentence in part.left_out)
    return three_parts(
        name, sources, classes=known, left_out=left_out, validation=validation, split_seed=split_seed,
        reader=fitted_reader(size, stretch=stretch, channels=channels),
    )  # fmt: skip


def three_parts(
    name: str,
    sources: Sequence[Source],
    *,
    classes: Sequence[str],
    left_out: Sequence[str] = (),
    validation: float,
    split_seed: int,
    skip_bad: bool = False,
    reader: Reader | None = None,
) -> Splits:
    """The parts of a data set where there are three, or the share `validation` drawn from the first of two.

    With `skip_bad` every example is made once, and those that cannot be read are left out, see `without_bad`.
    Raises `DataError` for a part without an example, `UsageError` for another number of parts, and what `split` does.
    """
    if len(sources) not in (2, 3):
        raise UsageError(f"parts must be two, for training and test, or three, got {len(sources)}")
    for number, source in enumerate(sources):
        if not source.length:
            raise DataFormatError(name, None, "each part", "hold an image", f"none in part {number + 1}")
    train, *middle, test = sources
    if not middle:
        drawn = split(train.length, fractions=(1 - validation, validation), seed=split_seed)
        train, *middle = (subset(train, indices) for indices in drawn)
    known, told = tuple(classes), tuple(left_out)
    splits = Splits(
        name=name, train=train, validation=middle[0], test=test, classes=known, left_out=told, reader=reader
    )
    return without_bad(splits) if skip_bad else splits


def in_memory(splits: Splits) -> Splits:
    """The data set with all of its examples made now and kept, for those that fit into the device's memory.

    Inside of `faults.bad_left_out` those that cannot be read are left out, see `without_bad`.
    """
    splits = without_bad(splits) if leaves_out() else splits
    return _each_part(splits, lambda source: from_arrays(to_arrays(source)))


def single_objects(splits: Splits) -> Splits:
    """The data set with the first object of each image alone: its class as "label", and "box" `[4]`.

    The box is centre and size in parts of the image, as `train.tasks.localization` takes it. "boxes", "labels" and
    "valid" are left out. Raises `DataError` for an image without an object when it is asked for.
    """

    def of(source: Source) -> Source:
        return source._replace(element=lambda index: _single(source.element(index), splits.name))

    return _each_part(splits, of)


def as_size(size: int | Size) -> Size:
    """(height, width) of an image whose size is one side of a square, or both; raises `ValueError` for one below 1."""
    height, width = (size, size) if isinstance(size, int | np.integer) else size
    at_least(1, size=min(height, width))
    return int(height), int(width)


def blank_detection(
    name: str,
    size: Size,
    *,
    most: int | None = None,
    more: Mapping[str, type] = {},
    numbered: bool = False,
    lengths: Sequence[int] | None = None,
    classes: Sequence[str] | None = None,
    streamed: bool = True,
) -> Callable[[Blank], Splits]:
    """What stands for the files of a data set of images with boxes inside of `blank_data`.

    Where it is not `streamed` it is placed on devices, although each example is made when it is asked for.
    """

    def make(blank: Blank) -> Splits:
        known = classes or [f"class {number}" for number in range(blank.classes)]
        sources = [
            blank_objects(length, classes=len(known), most=most or 8, shape=(*size, 3), more=more, numbered=numbered)
            for length in lengths or (*blank.images, blank.images[1])
        ]
        sources = [source._replace(streamed=streamed) for source in sources]
        return three_parts(name, sources, classes=known, validation=0.1, split_seed=0, reader=fitted_reader(size))

    return make


def _each_part(splits: Splits, change: Callable[[Source], Source]) -> Splits:
    return replace(splits, **{part: change(getattr(splits, part)) for part in PARTS})


def _single(example: Example, name: str) -> Example:
    """An example, or a batch of them, with one object each."""
    valid = np.asarray(example["valid"]).astype(bool)
    if not valid.any(axis=-1).all():
        raise DataFormatError(name, None, "each image", "have an object", "one without")
    first = valid.argmax(axis=-1)[..., None]
    corners = np.take_along_axis(example["boxes"], first[..., None], axis=-2)[..., 0, :]
    height, width = example["image"].shape[-3:-1]
    low, high = corners[..., :2], corners[..., 2:]
    box = np.concatenate([(low + high) / 2, high - low], axis=-1) / np.array([width, height, width, height], np.float32)
    label = np.take_along_axis(example["labels"], first, axis=-1)[..., 0]
    others = {key: value for key, value in example.items() if key not in ("boxes", "labels", "valid")}
    return {**others, "label": label, "box": box.astype(np.float32)}
