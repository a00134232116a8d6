"""What word2vec learns from: words with the words around them, and fewer of the frequent ones."""

import numpy as np

from fjdl.checks import at_least, within
from fjdl.data.text.given import vector
from fjdl.data.text.noise import noise_probabilities
from fjdl.integers import require_fit


def keep_probabilities(counts: np.ndarray, *, threshold: float = 1e-3) -> np.ndarray:
    """The chance to keep an occurrence of each word, float64 `[words]` in (0, 1]: `min(1, √(t/f) + t/f)`.

    `f` is the word's share of all `counts` and `t` the threshold. It is what word2vec's program computes, and gensim;
    the article (Mikolov et al. 2013, arXiv:1310.4546, eq. 5) has `√(t/f)`. A word that does not occur is kept. Raises
    `ValueError` for counts that are negative or all 0, and for a threshold that is not positive.
    """
    within("(0, inf)", threshold=threshold)
    share = noise_probabilities(counts, power=1)
    ratio = threshold / np.where(share > 0, share, threshold)
    return np.minimum(1, np.sqrt(ratio) + ratio)


def subsample(ids: np.ndarray, keep: np.ndarray, *, seed: int) -> np.ndarray:
    """The ids of a text without the occurrences that are not kept; id `i` stays with the chance `keep[i]`.

    Drawn by `numpy.random.PCG64(seed)`. What is left moves together, so that windows reach farther, as in word2vec.
    Raises `ValueError` for ids that are no vector of integers in `[0, len(keep))`, and for a `keep` that is no vector.
    """
    keep = np.asarray(keep)
    if keep.ndim != 1:
        raise ValueError(f"keep must have the chance of each word, got shape {list(keep.shape)}")
    ids = vector("ids", ids, below=len(keep))
    return ids[_generator(seed).random(len(ids)) < keep[ids]]


def skipgram_pairs(
    ids: np.ndarray, *, window: int, seed: int, texts: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Each word with each of the words around it: `{"center": int32 [n], "context": int32 [n]}`, in the text's order.

    Word `i` has the contexts `i - b … i + b` but itself, where `b` is drawn from 1 to `window` for each word by
    `numpy.random.PCG64(seed)`, so that near words count more (Mikolov et al. 2013, arXiv:1301.3781). `texts` are
    numbers `[t]` that differ between sentences or documents; no pair reaches over. Raises `ValueError` for a window
    below 1 and for `ids` that are no vector.
    """
    context, inside = _around(ids, window, seed, texts)
    center = np.broadcast_to(np.asarray(ids, np.int32)[:, None], inside.shape)
    return {"center": center[inside], "context": context[inside]}


def cbow_windows(
    ids: np.ndarray, *, window: int, seed: int, texts: np.ndarray | None = None, filler: int = 0
) -> dict[str, np.ndarray]:
    """Each word with all of the words around it at once.

    It gives `{"center": int32 [n], "context": int32 [n, 2 * window], "length": int32 [n]}`, where the first `length` of
    a context are words and the others `filler`. Contexts are drawn, bounded and refused as in `skipgram_pairs`, and
    with one `seed` they are the same; a word without any is left out.
    """
    require_fit("filler", filler, np.int32, remedy="")
    context, inside = _around(ids, window, seed, texts)
    length = inside.sum(axis=1).astype(np.int32)
    ordered = np.take_along_axis(np.where(inside, context, filler), np.argsort(~inside, axis=1, kind="stable"), axis=1)
    some = length > 0
    return {"center": np.asarray(ids, np.int32)[some], "context": ordered[some], "length": length[some]}


def _around(ids: np.ndarray, window: int, seed: int, texts: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The words around each word in their order, int32 `[t, 2 * window]`, and which of them belong to it."""
    at_least(1, window=window)
    ids, texts = checked(ids, texts)
    reach = _generator(seed).integers(1, window + 1, len(ids))
    steps = np.concatenate([np.arange(-window, 0), np.arange(1, window + 1)])
    places = np.arange(len(ids), dtype=np.int32)[:, None] + steps.astype(np.int32)
    inside = (places >= 0) & (places < len(ids)) & (abs(steps) <= reach[:, None])
    places = np.where(inside, places, 0)
    if not len(ids):
        return places, inside
    inside &= texts[places] == texts[:, None]
    return ids.astype(np.int32)[places], inside


def checked(ids: np.ndarray, texts: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Ids of words and numbers of their texts, 0 by default; raises `ValueError` unless they are vectors that fit."""
    ids = vector("ids", ids)
    if texts is not None and np.shape(texts) != ids.shape:
        raise ValueError(f"texts must have a number for each of {len(ids)} ids, got shape {list(np.shape(texts))}")
    return ids, np.zeros(len(ids), np.int32) if texts is None else np.asarray(texts)


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))
