"""Arrays as data sets: files of `.npz`, and mappings of arrays in memory."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fjdl.data.image_folder import square_reader
from fjdl.data.own.labels import classes_of, numbered
from fjdl.data.own.npz_files import read_npz
from fjdl.data.own.parts import drawn_parts, require_free_names
from fjdl.data.source import PARTS, Reader, Source, Splits, from_arrays, subset
from fjdl.errors import DataFormatError

Arrays = Mapping[str, np.ndarray]

PREDICTED = ("label", "target")  # arrays that a model does not see

_PART = {"train": "train", "training": "train", "test": "test", "testing": "test"} | dict.fromkeys(
    ("val", "valid", "validation", "dev"), "validation"
)
_INPUTS = ("x", "image", "images", "input", "inputs", "feature", "features", "data")
_ANSWERS = ("y", "label", "labels", "target", "targets")
_OF_PART = re.compile(rf"(?P<before>{'|'.join(_PART)})_(?P<after>.+)|(?P<first>.+)_(?P<last>{'|'.join(_PART)})", re.I)


def arrays(
    data: Path | str | Arrays,
    *,
    names: Mapping[str, str] | None = None,
    classes: Sequence[str] | None = None,
    validation: float = 0.15,
    test: float = 0.2,
    split_seed: int = 0,
) -> Splits:
    """Arrays whose rows are examples, from an `.npz` file or a mapping, such as `{"x": ..., "y": ...}`.

    An array called x, data, inputs, features or images becomes "image" where its examples have two or three axes (grey
    ones get an axis of one channel) and "features" where they have one or none. One called y, label or target becomes
    "label" where it holds integers or strings, and "target" where it holds real numbers. `names` says it for arrays
    with other names, `{"pixels": "image", "digit": "label"}`, and then no other array counts. Labels are integers from
    0, of which `k` means `classes[k]`, or strings, whose classes are in the order of their names by default.

    Names such as `x_train`, `y_test` and `val_images` divide the file into parts; where only one of `val` and `test`
    is there, it is the test part. The shares `validation` and `test` of parts that are not there are drawn by the seed,
    class by class. Real numbers become float32, labels int32.

    Raises `DataError` naming file, array and row for arrays of several lengths, labels out of range, numbers that are
    not finite, one class alone, and what `read_npz` refuses; and `ValueError` for shares that do not fit.

    >>> splits = arrays({"x": np.eye(10), "y": np.arange(10) % 2})
    >>> splits.train.element(0)["features"].dtype, splits.classes, splits.test.length
    (dtype('float32'), ('0', '1'), 2)
    """
    home = "the arrays" if isinstance(data, Mapping) else str(data)
    found = named_parts(home, data if isinstance(data, Mapping) else read_npz(data), names)
    if "train" not in found:
        raise DataFormatError(home, None, "there", "be arrays of the training part", f"those of {', '.join(found)}")
    labels = [rows["label"] for rows in found.values() if "label" in rows]
    known = classes_of(home, labels, classes) if labels else ()
    sources = {part: _source(f"{home}, {part} part", rows, known) for part, rows in found.items()}
    whole, others = sources["train"], [sources[part] for part in PARTS[1:] if part in sources]
    shares = ((validation, test), (validation, None), (None, None))[len(others)]
    answers = whole.element(np.arange(whole.length)).get("label", np.zeros(whole.length, np.int32))
    drawn = drawn_parts(home, answers, validation=shares[0], test=shares[1], seed=split_seed)
    train, middle, last = *(subset(whole, indices) for indices in drawn), *others
    return Splits(
        name="arrays" if isinstance(data, Mapping) else Path(data).name,
        train=train, validation=middle, test=last, classes=known, reader=_reader(whole),
    )  # fmt: skip


def inputs_of(home: str, found: Arrays, arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arrays of another file that examples with these `arrays` have, by name or as `arrays` names them.

    Where the file has parts, its test part counts, or its training part. What is predicted need not be there. Raises
    `DataError` for what `arrays` refuses, and for examples of another shape.
    """
    known = {name: array for name, array in found.items() if _part_of(name)[1] in arrays}
    names = {_part_of(name)[1]: _part_of(name)[1] for name in known} or None
    parts = named_parts(home, known or found, names)
    rows = {name: array for name, array in (parts.get("test") or parts["train"]).items() if name not in PREDICTED}
    for name, array in rows.items():
        if name not in arrays or array.shape[1:] != arrays[name][0]:
            wanted = ", ".join(f"{known} {list(shape)}" for known, (shape, _) in arrays.items())
            raise DataFormatError(home, None, "examples", f"have arrays {wanted}", f"{name} {list(array.shape[1:])}")
    if not rows:
        raise DataFormatError(home, None, "there", f"be an array of {', '.join(arrays)}", f"{', '.join(found)}")
    return {name: array.astype(arrays[name][1]) for name, array in rows.items()}


def named_parts(home: str, found: Arrays, names: Mapping[str, str] | None) -> dict[str, dict[str, np.ndarray]]:
    """The arrays by their parts and by the names that they have in examples."""
    parts: dict[str, dict[str, np.ndarray]] = {}
    for full, array in found.items():
        part, name = _place(home, full, np.asarray(array), names)
        if name is None:
            continue
        rows = parts.setdefault(part, {})
        if name in rows:
            raise DataFormatError(
                home, None, "one array", f"become {name!r}", f"{full!r} beside another one; see names"
            )
        rows[name] = _as_examples(home, full, np.asarray(array), name)
    for base in names or ():
        if not any(base in (full, _part_of(full)[1]) for full in found):
            raise DataFormatError(home, None, "there", f"be an array {base!r}", f"{', '.join(found)}")
    for rows in parts.values():
        require_free_names(home, rows)
        lengths = {name: len(array) for name, array in rows.items()}
        if len({*lengths.values()}) > 1 or 0 in lengths.values():
            told = ", ".join(f"{length} of {name!r}" for name, length in lengths.items())
            raise DataFormatError(home, None, "the arrays", "have one number of rows, not 0", f"{told}")
    return parts


def _place(home: str, full: str, array: np.ndarray, names: Mapping[str, str] | None) -> tuple[str, str | None]:
    """The part that an array belongs to, and its name in examples, None for one that does not count."""
    part, base = _part_of(full)
    if names is None:
        return part, _named(home, base, array)
    return part, names.get(full, names.get(base))


def _part_of(full: str) -> tuple[str, str]:
    """The part that the name of an array speaks of, training by default, and the rest of the name."""
    match = _OF_PART.fullmatch(full)
    if match is None:
        return "train", full
    part = (match["before"] or match["last"]).lower()
    return _PART[part], match["after"] or match["first"]


def _named(home: str, base: str, array: np.ndarray) -> str:
    if base.lower() in _INPUTS:
        return "image" if array.ndim >= 3 else "features"
    if base.lower() in _ANSWERS:
        return "target" if array.dtype.kind == "f" else "label"
    raise DataFormatError(
        home,
        None,
        "an array",
        "have a name such as x or y, train_images or label",
        f"{base!r}; names={{{base!r}: 'image'}} says what it is, and leaves out all that it does not name",
    )


def _as_examples(home: str, full: str, array: np.ndarray, name: str) -> np.ndarray:
    """The array in the dtype and with the axes that examples have."""
    place = f"{home}, array {full!r}"
    if not array.ndim or array.dtype.kind not in "biufOUST":
        raise DataFormatError(
            place, None, "there", "be rows of numbers or strings", f"{array.dtype}{list(array.shape)}"
        )
    if name in ("label", "target") and array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if name == "label" and array.ndim != 1:
        raise DataFormatError(place, None, "there", "be one label for each row", f"shape {list(array.shape)}")
    if name == "image" and array.ndim == 3:
        array = array[..., None]
    if name == "features" and array.ndim == 1:
        array = array[:, None]
    if name == "label" and array.dtype.kind in "OUST":
        return np.array([str(entry) for entry in array.tolist()])
    if array.dtype.kind in "OUST":
        raise DataFormatError(place, None, "the entries", "be numbers", f"{array.dtype}")
    if name == "label" and array.dtype.kind == "f":
        raise DataFormatError(place, None, "labels", "be integers or strings", f"{array.dtype}")
    return _as_numbers(place, array, name)


def _as_numbers(place: str, array: np.ndarray, name: str) -> np.ndarray:
    if array.dtype.kind != "f" and name in ("image", "label"):
        return array
    with np.errstate(over="ignore"):
        numbers = array.astype(np.float32)
    broken = np.argwhere(~np.isfinite(numbers))
    if broken.size:
        row, *where = broken[0].tolist()
        at = f" at {where}" if where else ""
        raise DataFormatError(
            place, f"row {row}", "the number", "be finite in float32", f"{array[tuple(broken[0])]}{at}"
        )
    return numbers


def _source(home: str, rows: Arrays, classes: Sequence[str]) -> Source:
    return from_arrays({**rows, "label": numbered(home, rows["label"], classes)} if "label" in rows else rows)


def _reader(source: Source) -> Reader | None:
    """How an image file becomes an example, where examples are square images of bytes."""
    image = source.element(0).get("image")
    if image is None or image.dtype != np.uint8 or image.shape[0] != image.shape[1] or image.shape[2] not in (1, 3):
        return None
    return square_reader(size=image.shape[0], channels=image.shape[2])
