"""Masks as run lengths, column after column, plain or as the strings of COCO."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fjdl.data.image_folder import MOST_PIXELS
from fjdl.errors import DataFormatError

LONGEST = 7  # signs of one number in a string: 35 bits


def encode_run_lengths(mask: np.ndarray) -> dict[str, Any]:
    """A mask `[h, w]` as `{"size": [h, w], "counts": list[int]}`: how many pixels are 0, then 1, and so on.

    Pixels are taken down the columns from the left; the first count is 0 where the first pixel is set. What is not 0 is
    set. It is the uncompressed form of COCO, and `compressed` makes its string.

    >>> encode_run_lengths(np.array([[0, 1], [1, 1]]))
    {'size': [2, 2], 'counts': [1, 3]}
    """
    flat = np.asarray(mask).astype(bool).ravel(order="F")
    turns = np.flatnonzero(np.diff(np.concatenate([[False], flat])))
    counts = np.diff(np.concatenate([[0], turns, [flat.size]]))
    return {"size": [int(side) for side in np.shape(mask)], "counts": [int(count) for count in counts]}


def decode_run_lengths(lengths: Mapping[str, Any], *, where: str = "the run lengths") -> np.ndarray:
    """The mask uint8 `[h, w]` of 0 and 1 from run lengths, whose counts are numbers or a string; `where` names them.

    Raises `DataError` for a size that is not two positive numbers with at most 67,108,864 pixels, for counts that are
    neither whole numbers from 0 nor such a string, and for a sum of counts that is not the number of pixels.
    """
    size, counts = lengths.get("size"), lengths.get("counts")
    if not (isinstance(size, list | tuple) and len(size) == 2 and all(_whole(side) and side > 0 for side in size)):
        raise DataFormatError(where, None, "the size", "be two positive numbers", f"{_short(size)}")
    height, width = size
    if height * width > MOST_PIXELS:
        raise DataFormatError(where, None, "a mask", f"have at most {MOST_PIXELS} pixels", f"{height * width}")
    numbers = expanded(counts, where=where) if isinstance(counts, str | bytes) else counts
    if not (isinstance(numbers, list | tuple) and all(_whole(count) and count >= 0 for count in numbers)):
        raise DataFormatError(where, None, "the counts", "be a string or whole numbers from 0", f"{_short(numbers)}")
    if sum(numbers) != height * width:
        raise DataFormatError(where, None, "the counts", f"have the sum {height * width}", f"{sum(numbers)}")
    values = np.arange(len(numbers), dtype=np.uint8) & 1
    return np.repeat(values, numbers).reshape(width, height).T


def compressed(counts: Sequence[int]) -> str:
    """Counts as the string of COCO: from the fourth on, less the count two before; then 5 bits a sign, low ones first.

    A sign is the character 48 + its bits, and 32 more where others of its number follow; the highest bit of the last is
    the number's sign. Equals `pycocotools.mask.frPyObjects`'s.
    """
    signs = []
    for place, count in enumerate(counts):
        number = int(count) - (int(counts[place - 2]) if place > 2 else 0)
        while True:
            bits, number = number & 31, number >> 5
            ended = number == (-1 if bits & 16 else 0)
            signs.append(chr(48 + bits + (0 if ended else 32)))
            if ended:
                break
    return "".join(signs)


def expanded(text: str | bytes, *, where: str = "the run lengths") -> list[int]:
    """The counts of the string that `compressed` makes.

    Raises `DataError` for a sign that is none of such a string, a number of more than seven signs, and a number without
    its end.
    """
    signs = text.encode("utf-8") if isinstance(text, str) else text
    counts: list[int] = []
    number = place = 0
    for sign in signs:
        if not 48 <= sign < 112 or place == LONGEST:
            raise DataFormatError(where, None, "the counts", "be a string of run lengths", f"{_short(text)}")
        bits = sign - 48
        number |= (bits & 31) << 5 * place
        place += 1
        if not bits & 32:
            number -= (bits & 16) << 5 * place - 4 if bits & 16 else 0
            counts.append(number + (counts[-2] if len(counts) > 2 else 0))
            number = place = 0
    if place:
        raise DataFormatError(where, None, "the counts", "end with a whole number", f"{_short(text)}")
    return counts


def _whole(number: Any) -> bool:
    return isinstance(number, int | np.integer) and not isinstance(number, bool)


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:40]}…"
