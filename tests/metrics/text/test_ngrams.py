import numpy as np
import pytest

from fjdl.metrics.text.ngrams import count_ngrams, ngram_matches


def test_counts_of_all_orders():
    assert count_ngrams(["a", "b", "a"], max_order=2) == {("a",): 2, ("b",): 1, ("a", "b"): 1, ("b", "a"): 1}
    assert count_ngrams(["a"], max_order=4) == {("a",): 1}
    assert not count_ngrams([], max_order=4)


def test_matches_are_clipped_at_the_reference_as_in_the_paper():
    the, cat, is_, on, mat = range(5)
    hypothesis, reference = np.full(7, the), np.array([the, cat, is_, on, the, mat])
    matches, totals = ngram_matches(hypothesis, reference)
    np.testing.assert_array_equal(matches, [2, 0, 0, 0])
    np.testing.assert_array_equal(totals, [7, 6, 5, 4])


def test_padding_matches_nothing_even_where_it_equals_a_token():
    padded = np.array([[1, 2, 0, 0], [0, 0, 0, 0]]), np.array([[1, 2, 0], [0, 0, 0]])
    matches, totals = ngram_matches(*padded, np.array([2, 0]), np.array([2, 3]), max_order=3)
    np.testing.assert_array_equal(matches, [[2, 1, 0], [0, 0, 0]])
    np.testing.assert_array_equal(totals, [[2, 1, 0], [0, 0, 0]])


def test_orders_longer_than_either_side_and_other_dtypes():
    matches, totals = ngram_matches(np.uint8([200]), np.int16([200, 200]), max_order=6)
    np.testing.assert_array_equal(matches, [1, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(totals, [1, 0, 0, 0, 0, 0])


def test_no_order_is_refused():
    with pytest.raises(ValueError, match=r"^max_order must be at least 1, got 0$"):
        ngram_matches(np.array([1]), np.array([1]), max_order=0)
