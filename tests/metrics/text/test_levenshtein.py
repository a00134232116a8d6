import numpy as np
import pytest

from fjdl.metrics.text.levenshtein import edit_distance, levenshtein_distance


@pytest.mark.parametrize(
    ("a", "b", "edits"),
    [
        ("kitten", "sitting", 3), ("flaw", "lawn", 2), ("", "", 0), ("", "abc", 3), ("abc", "", 3), ("abc", "abc", 0),
        ("intention", "execution", 5), ("ab", "ba", 2), ("aaaa", "aa", 2), ("naïve", "naive", 1),
    ],
)  # fmt: skip
def test_distances_known_from_the_literature(a, b, edits):
    assert levenshtein_distance(a, b) == levenshtein_distance(b, a) == edits
    codes = [np.array([ord(c) for c in text] + [0] * (9 - len(text)), np.int32) for text in (a, b)]
    assert edit_distance(*codes, np.array(len(a)), np.array(len(b))) == edits


def test_words_are_symbols_too():
    assert levenshtein_distance(["the", "cat", "sat"], ["the", "dog", "sat", "down"]) == 2


def test_padding_changes_nothing_and_sides_may_swap(rng):
    a, b = rng.integers(0, 3, (4, 5)).astype(np.int32), rng.integers(0, 3, (4, 8)).astype(np.int32)
    padded = np.pad(b, ((0, 0), (0, 4)), constant_values=2)
    alone = edit_distance(a, b)
    np.testing.assert_array_equal(edit_distance(a, padded, None, np.full(4, 8)), alone)
    np.testing.assert_array_equal(edit_distance(padded, a, np.full(4, 8), None), alone)
    np.testing.assert_array_equal(
        [levenshtein_distance(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)], alone
    )


def test_other_dtypes_and_more_batch_axes():
    a, b = np.full((2, 3, 4), 200, np.uint8), np.full((2, 3, 2), 200, np.int16)
    distances = edit_distance(a, b)
    assert distances.dtype == np.int32
    np.testing.assert_array_equal(distances, np.full((2, 3), 2))
