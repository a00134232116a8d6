"""Nearest words and analogies, against worked vectors and formulas on float64 arrays."""

import numpy as np
import pytest

from fjdl.data.text import (
    NO_SPECIALS,
    SPECIALS,
    Vocabulary,
    analogy,
    analogy_accuracy,
    multiplicative_analogy,
    nearest_words,
)
from tests.worked_numbers.test_similarity import VECTORS, WORDS

THINGS = Vocabulary(tuple(WORDS), NO_SPECIALS)
ROYAL = Vocabulary((*SPECIALS.given, "man", "woman", "king", "queen", "apple", "nothing"))
TABLE = np.float32([[9, 9, 0]] * 4 + [[1, 0, 0.1], [-1, 0, 0.1], [1, 2, 0], [-1, 2, 0.1], [0.1, 0.1, 3], [0, 0, 0]])


def test_w50_the_nearest_words_are_the_related_ones() -> None:
    assert nearest_words(THINGS, VECTORS, "Dog", count=2)[0] == ("Cat", pytest.approx(1, abs=1e-6))
    assert nearest_words(THINGS, VECTORS, "Dog", count=2)[1] == ("Horse", pytest.approx(0.9954, abs=5e-5))
    assert [word for word, _ in nearest_words(THINGS, VECTORS, "Rock", count=1)] == ["Mountain"]
    assert len(nearest_words(THINGS, VECTORS, "Car", count=99)) == 9


def test_special_tokens_and_words_without_a_vector_are_near_to_nothing() -> None:
    words = [word for word, _ in nearest_words(ROYAL, TABLE, "king", count=99)]
    assert words == ["queen", "man", "apple", "woman"]
    assert all(np.isfinite(score) for _, score in nearest_words(ROYAL, TABLE, "nothing"))


def test_analogies_by_sums_and_by_products() -> None:
    unit = TABLE[4:9].astype(np.float64) / np.linalg.norm(TABLE[4:9].astype(np.float64), axis=1, keepdims=True)
    a, b, c = (unit @ unit[i] for i in (0, 1, 2))  # man : woman = king : ?
    assert analogy(ROYAL, TABLE, "man", "woman", "king", count=5) == [
        ("queen", pytest.approx((b - a + c)[3], abs=1e-6)), ("apple", pytest.approx((b - a + c)[4], abs=1e-6)),
    ]  # fmt: skip
    product = ((b + 1) / 2) * ((c + 1) / 2) / ((a + 1) / 2 + 0.001)
    assert multiplicative_analogy(ROYAL, TABLE, "man", "woman", "king", count=5) == [
        ("queen", pytest.approx(product[3], rel=1e-5)), ("apple", pytest.approx(product[4], rel=1e-5)),
    ]  # fmt: skip


def test_questions_with_unknown_words_are_not_asked() -> None:
    questions = [("man", "woman", "king", "queen"), ("man", "woman", "king", "apple"), ("man", "woman", "x", "y")]
    assert analogy_accuracy(ROYAL, TABLE, questions) == (0.5, 2)
    assert analogy_accuracy(ROYAL, TABLE, questions[2:]) == (0.0, 0)


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: nearest_words(ROYAL, TABLE, "prince"), "word must be in the vocabulary, got 'prince'"),
        (lambda: nearest_words(ROYAL, TABLE[1:], "king"), r"row for each of 10 words, got shape \[9, 3\]"),
        (lambda: nearest_words(ROYAL, TABLE, "king", count=0), "count must be at least 1, got 0"),
        (lambda: analogy(ROYAL, TABLE, "man", "prince", "king"), "word must be in the vocabulary, got 'prince'"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused(make, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        make()
