"""Words near a word, and words that stand to one as two others stand to each other."""

from collections.abc import Sequence

import numpy as np

from fjdl.checks import at_least
from fjdl.data.text.vocabulary import Vocabulary

Ranked = list[tuple[str, float]]


def nearest_words(vocabulary: Vocabulary, table: np.ndarray, word: str, *, count: int = 10) -> Ranked:
    """The `count` words whose vectors have the largest cosines with that of `word`, with these, itself left out.

    `table` has a row for each word of the vocabulary. Words of one cosine stand in the vocabulary's order; the special
    tokens and words whose vector is 0 are left out. Raises `ValueError` for a word that is not there, and for a `count`
    below 1.
    """
    unit = _unit(vocabulary, table)
    return _best(vocabulary, unit, unit @ unit[_number(vocabulary, word)], [word], count)


def analogy(vocabulary: Vocabulary, table: np.ndarray, a: str, b: str, c: str, *, count: int = 1) -> Ranked:
    """The words `d` for which `a : b = c : d` holds best by 3CosAdd: `cos(d, b) - cos(d, a) + cos(d, c)` is largest.

    The three words themselves are left out; ties, special tokens and errors are those of `nearest_words`. Mikolov et
    al. 2013, "Linguistic regularities in continuous space word representations".
    """
    unit = _unit(vocabulary, table)
    of_a, of_b, of_c = (unit @ unit[_number(vocabulary, word)] for word in (a, b, c))
    return _best(vocabulary, unit, of_b - of_a + of_c, [a, b, c], count)


def multiplicative_analogy(
    vocabulary: Vocabulary, table: np.ndarray, a: str, b: str, c: str, *, count: int = 1
) -> Ranked:
    """As `analogy` by 3CosMul: `s(d, b) · s(d, c) / (s(d, a) + 0.001)` is largest, with `s = (cos + 1) / 2`.

    Levy & Goldberg 2014, "Linguistic regularities in sparse and explicit word representations", eq. 5.
    """
    unit = _unit(vocabulary, table)
    of_a, of_b, of_c = ((unit @ unit[_number(vocabulary, word)] + 1) / 2 for word in (a, b, c))
    return _best(vocabulary, unit, of_b * of_c / (of_a + 0.001), [a, b, c], count)


def analogy_accuracy(
    vocabulary: Vocabulary, table: np.ndarray, questions: Sequence[tuple[str, str, str, str]]
) -> tuple[float, int]:
    """The share of questions `(a, b, c, d)` whose `d` is the first word of `analogy`, and how many were asked.

    A question with a word that the vocabulary does not have is not asked. The share is 0 where none is. Raises
    `ValueError` for a table that does not fit the vocabulary.
    """
    unit = _unit(vocabulary, table)
    asked = [question for question in questions if all(word in vocabulary for word in question)]
    right = 0
    for *given, wanted in asked:
        a, b, c = (unit[vocabulary.numbers[word]] for word in given)
        right += [word for word, _ in _best(vocabulary, unit, unit @ (b - a + c), given, 1)] == [wanted]
    return right / max(len(asked), 1), len(asked)


def _unit(vocabulary: Vocabulary, table: np.ndarray) -> np.ndarray:
    """The rows at length 1 in float32; a row of 0 stays."""
    table = np.asarray(table)
    if table.ndim != 2 or len(table) != len(vocabulary):
        raise ValueError(f"table must have a row for each of {len(vocabulary)} words, got shape {list(table.shape)}")
    rows = table.astype(np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows / np.where(norms > 0, norms, 1)).astype(np.float32)


def _number(vocabulary: Vocabulary, word: str) -> int:
    if word not in vocabulary:
        raise ValueError(f"word must be in the vocabulary, got {word!r}")
    return vocabulary.numbers[word]


def _best(vocabulary: Vocabulary, unit: np.ndarray, scores: np.ndarray, left_out: Sequence[str], count: int) -> Ranked:
    at_least(1, count=count)
    scores = np.where(unit.any(axis=1), scores, -np.inf).astype(np.float64)
    scores[[_number(vocabulary, word) for word in (*left_out, *vocabulary.specials.given)]] = -np.inf
    order = np.argsort(-scores, kind="stable")[:count]
    return [(vocabulary.tokens[place], float(scores[place])) for place in order if scores[place] > -np.inf]
