"""Texts as sets of weighted features: n-grams of words and characters, by number, and how much each counts."""

import zlib
from collections.abc import Iterable, Sequence

import numpy as np

from fjdl.checks import at_least
from fjdl.data.text.given import integers

NEGATIONS = frozenset({
    "not", "n't", "no", "never", "nothing", "without", "neither", "nor", "hardly", "cannot", "none", "nobody", "lacks",
    "lack", "lacking", "barely", "too",
})  # fmt: skip
CLAUSE_ENDS = frozenset({".", ",", ";", ":", "!", "?", "but", "and", "--", "-lrb-", "-rrb-"})


def mark_negation(words: Sequence[str]) -> list[str]:
    """The words, and after each one that a negation reaches the same word with `neg_` before it.

    A negation is one of `NEGATIONS` and reaches as far as the next of `CLAUSE_ENDS`, which stays as it is. Das & Chen
    2001; Pang et al. 2002, arXiv:cs/0205070, who put the marked word in the place of the word.

    >>> mark_negation("it is not very good , but short".split())
    ['it', 'is', 'not', 'very', 'neg_very', 'good', 'neg_good', ',', 'but', 'short']
    """
    marked, reached = [], False
    for word in words:
        reached = reached and word not in CLAUSE_ENDS
        marked += [word, f"neg_{word}"] if reached else [word]
        reached = reached or word in NEGATIONS
    return marked


def word_ngrams(words: Sequence[str], *, largest: int = 2) -> list[str]:
    """Each word, each pair of neighbours, and so on up to `largest` neighbours, with blanks between.

    Raises `ValueError` for `largest` below 1.

    >>> word_ngrams(["a", "good", "film"])
    ['a', 'good', 'film', 'a good', 'good film']
    """
    at_least(1, largest=largest)
    return [" ".join(words[i : i + n]) for n in range(1, largest + 1) for i in range(len(words) - n + 1)]


def character_ngrams(word: str, *, smallest: int = 2, largest: int = 6) -> list[str]:
    """All substrings of `smallest` to `largest` characters of the word with a blank at each end.

    A word that is shorter than `smallest` with its blanks gives itself. A word that was never seen so shares features
    with those that look like it (Bojanowski et al. 2017, arXiv:1607.04606). Equals the analyzer "char_wb" of
    scikit-learn's vectorizers on one word. Raises `ValueError` unless 1 <= smallest <= largest.

    >>> character_ngrams("odd", smallest=3, largest=4)
    [' od', 'odd', 'dd ', ' odd', 'odd ']
    """
    at_least(1, smallest=smallest)
    at_least(smallest, largest=largest)
    ends = f" {word} "
    found = [ends[i : i + n] for n in range(smallest, largest + 1) for i in range(len(ends) - n + 1)]
    return found or [ends]


def hash_features(features: Iterable[str], *, buckets: int) -> np.ndarray:
    """A number in [0, buckets) for each feature, int32 `[t]`: the CRC-32 of its UTF-8 bytes modulo `buckets`.

    The number of a feature is the same in every process and version. Features that share a bucket are one feature
    (Weinberger et al. 2009, arXiv:0902.2206). Raises `ValueError` for `buckets` outside [1, 2**31).

    >>> hash_features(["good", "neg_good", "good"], buckets=1000).tolist()
    [194, 556, 194]
    """
    at_least(1, buckets=buckets)
    if buckets >= 2**31:
        raise ValueError(f"buckets must be less than 2**31, got {buckets}")
    return np.array([zlib.crc32(feature.encode()) % buckets for feature in features], np.int32)


def inverse_document_frequencies(texts: Sequence[np.ndarray], *, buckets: int, minimum: int = 1) -> np.ndarray:
    """`ln((1 + n) / (1 + c)) + 1` for a feature that c of the n texts hold, float32 `[buckets]`; 0 below `minimum`.

    `texts` has the numbers of the features of each text. A feature that few texts hold counts more, and one that fewer
    than `minimum` hold counts nothing, nor does one that none holds. Equals the `idf_` of scikit-learn's
    `TfidfTransformer`, which has no minimum. Raises `ValueError` for `minimum` below 1, and for numbers outside
    `[0, buckets)`.

    >>> inverse_document_frequencies([np.array([0, 0, 1]), np.array([0])], buckets=3).round(3)
    array([1.   , 1.405, 0.   ], dtype=float32)
    """
    at_least(1, buckets=buckets, minimum=minimum)
    counts = np.zeros(buckets, np.int64)
    for place, text in enumerate(texts):
        counts[np.unique(integers(f"texts[{place}]", text, below=buckets))] += 1
    weights = np.log((1 + len(texts)) / (1 + counts)) + 1
    return np.where(counts >= minimum, weights, 0).astype(np.float32)


def tf_idf(text: np.ndarray, idf: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The features of a text that count, int32 `[k]` in increasing order, and their weights, float32 `[k]`.

    A feature that occurs c times has `(1 + ln c) · idf`; the weights are then divided by their Euclidean norm. Features
    whose `idf` is 0 are left out; where none counts, both are empty. Equals a row of scikit-learn's
    `TfidfTransformer(sublinear_tf=True)`. Raises `ValueError` for numbers outside `[0, len(idf))`.

    >>> tf_idf(np.array([2, 1, 2, 0]), np.array([0.0, 3.0, 3.0]))[0]
    array([1, 2], dtype=int32)
    >>> tf_idf(np.array([1, 0]), np.array([4.0, 3.0]))[1]
    array([0.8, 0.6], dtype=float32)
    """
    ids, counts = np.unique(integers("text", text, below=len(idf)), return_counts=True)
    weights = (1 + np.log(counts)) * np.asarray(idf, np.float64)[ids]
    ids, weights = ids[weights > 0], weights[weights > 0]
    norm = np.sqrt(np.sum(weights**2))
    return ids.astype(np.int32), (weights / (norm or 1)).astype(np.float32)
