"""How often words stand near one another, which GloVe learns from."""

from typing import NamedTuple

import numpy as np

from fjdl.checks import at_least
from fjdl.data.text.given import integers
from fjdl.data.text.pairs import checked

CHUNK = 2**18  # tokens whose pairs are counted at once


class Cooccurrences(NamedTuple):
    """Pairs of words that occur together, in the order of `center` and then `context`, and their counts."""

    center: np.ndarray  # int32 [n]
    context: np.ndarray  # int32 [n]
    counts: np.ndarray  # float32 [n]


def count_cooccurrences(
    ids: np.ndarray, *, words: int, window: int = 10, texts: np.ndarray | None = None, chunk: int = CHUNK
) -> Cooccurrences:
    """For each pair of words the sum of 1 / distance over all places where they stand at most `window` apart.

    Both orders of a pair are there with one count: a pair of two equal words counts twice for each place, as in
    GloVe's own program with a symmetric window. `texts` are numbers `[t]` that differ between sentences or documents;
    no pair reaches over. Pairs are counted in float64, `chunk` tokens at a time, so memory grows with the number of
    different pairs and not with the text. Pennington et al. 2014, section 4.2. Raises `ValueError` for ids outside
    `[0, words)`, and for a window or chunk below 1.

    >>> count_cooccurrences(np.array([0, 1, 0]), words=2).counts.tolist()
    [1.0, 2.0, 2.0]
    """
    at_least(1, window=window, chunk=chunk, words=words)
    ids, texts = checked(ids, texts)
    integers("ids", ids, below=words)
    keys, counts = np.zeros(0, np.int64), np.zeros(0)
    for start in range(0, len(ids), chunk):
        stop = min(start + chunk + window, len(ids))
        part = _counted(ids[start:stop].astype(np.int64), texts[start:stop], words, window, chunk)
        keys, counts = _merged([(keys, counts), part])
    return Cooccurrences((keys // words).astype(np.int32), (keys % words).astype(np.int32), counts.astype(np.float32))


def _counted(ids: np.ndarray, texts: np.ndarray, words: int, window: int, chunk: int) -> tuple[np.ndarray, np.ndarray]:
    """Keys `center * words + context` and counts of the pairs whose first word is one of the first `chunk`."""
    parts = [(np.zeros(0, np.int64), np.zeros(0))]
    for distance in range(1, min(window, len(ids) - 1) + 1):
        same = texts[:-distance][:chunk] == texts[distance:][:chunk]
        first, second = ids[:-distance][:chunk][same], ids[distance:][:chunk][same]
        keys, times = np.unique(np.concatenate([first * words + second, second * words + first]), return_counts=True)
        parts.append((keys, times / distance))
    return _merged(parts)


def _merged(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The distinct keys in order, and the sums of their counts."""
    keys, places = np.unique(np.concatenate([keys for keys, _ in parts]), return_inverse=True)
    return keys, np.bincount(places, weights=np.concatenate([counts for _, counts in parts]), minlength=len(keys))
