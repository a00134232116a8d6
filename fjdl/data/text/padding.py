"""Texts of different lengths in rows of one length."""

from collections.abc import Iterable, Sequence

import numpy as np

from fjdl.checks import at_least
from fjdl.data.text.coder import Coder
from fjdl.data.text.given import not_one, vector
from fjdl.integers import require_fit


def padded(
    sequences: Sequence[Sequence[int] | np.ndarray], *, steps: int | None = None, filler: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The sequences as rows int32 `[n, steps]`, filled up with `filler`, and their lengths int32 `[n]`.

    `steps` is the longest length by default. A longer sequence is cut off at its end. Raises `ValueError` for `steps`
    below 1, and for what is no vector of integers or does not fit int32.

    >>> rows, lengths = padded([[1, 2, 3], [4]])
    >>> rows.tolist(), lengths.tolist()
    ([[1, 2, 3], [4, 0, 0]], [3, 1])
    """
    at_least(1, steps=steps)
    require_fit("filler", filler, np.int32, remedy="")
    given = [vector(f"sequences[{number}]", sequence) for number, sequence in enumerate(sequences)]
    width = max(map(len, given), default=0) if steps is None else steps
    lengths = np.array([min(len(ids), width) for ids in given], np.int32)
    rows = np.full((len(given), width), filler, np.int32)
    inside = np.arange(width) < lengths[:, None]
    parts = [ids[:width].astype(np.int32) for ids in given]
    rows[inside] = np.concatenate(parts) if parts else 0
    return rows, lengths


def encode_texts(
    coder: Coder, texts: Iterable[str], *, steps: int | None = None, ends: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The texts as padded rows of numbers int32 `[n, steps]`, and their lengths int32 `[n]`.

    With `ends`, `<bos>` stands before and `<eos>` after each, and the lengths count both; the `<eos>` of a text that is
    cut off at `steps` stays. Raises `ValueError` for a vocabulary without these tokens, and what `padded` does.
    """
    encoded = [coder.encode(text) for text in not_one("texts", texts)]
    if ends:
        bos, eos = coder.vocabulary.bos, coder.vocabulary.eos
        at_least(2, steps=steps)
        kept = None if steps is None else steps - 2
        encoded = [np.concatenate([[bos], ids[:kept], [eos]]) for ids in encoded]
    return padded(encoded, steps=steps, filler=coder.vocabulary.filler)
