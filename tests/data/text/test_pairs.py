"""What word2vec and GloVe learn from, against loops written from the articles."""

from collections import Counter, defaultdict
from itertools import pairwise

import jax
import numpy as np
import pytest

from fjdl.data.text import (
    cbow_windows,
    count_cooccurrences,
    draw_noise,
    keep_probabilities,
    noise_probabilities,
    noise_table,
    skipgram_pairs,
    subsample,
)

IDS = np.random.default_rng(0).integers(0, 7, 200)
TEXTS = np.repeat(np.arange(8), 25)


def counted(center: np.ndarray, context: np.ndarray) -> Counter[tuple[int, int]]:
    return Counter(zip(center.tolist(), context.tolist(), strict=True))


@pytest.mark.parametrize("texts", [None, TEXTS])
def test_a_window_of_one_gives_all_neighbours_and_no_others(texts: np.ndarray | None) -> None:
    pairs = skipgram_pairs(IDS, window=1, seed=0, texts=texts)
    within = [(a, b) for i, (a, b) in enumerate(pairwise(IDS.tolist())) if texts is None or (i + 1) % 25]
    assert counted(**pairs) == Counter(within) + Counter((b, a) for a, b in within)
    assert all(array.dtype == np.int32 for array in pairs.values())


def test_near_words_are_contexts_more_often() -> None:
    """A word at distance k is one with the chance (window - k + 1) / window."""
    ids = np.arange(20_000)
    pairs = skipgram_pairs(ids, window=4, seed=3)
    distance = Counter((pairs["context"] - pairs["center"]).tolist())
    assert distance.keys() == {-4, -3, -2, -1, 1, 2, 3, 4}
    for k, times in distance.items():
        assert times / len(ids) == pytest.approx((5 - abs(k)) / 4, abs=0.02)
    order = np.argsort(pairs["center"], kind="stable")
    assert (order == np.arange(len(order))).all()
    again, other = (skipgram_pairs(ids, window=4, seed=seed) for seed in (3, 4))
    np.testing.assert_array_equal(again["context"], pairs["context"])
    assert len(other["context"]) != len(pairs["context"])


def test_the_contexts_of_both_forms_are_the_same() -> None:
    pairs = skipgram_pairs(IDS, window=5, seed=1, texts=TEXTS)
    rows = cbow_windows(IDS, window=5, seed=1, texts=TEXTS, filler=9)
    real = np.arange(10) < rows["length"][:, None]
    np.testing.assert_array_equal(rows["context"][real], pairs["context"])
    np.testing.assert_array_equal(np.repeat(rows["center"], rows["length"]), pairs["center"])
    assert (rows["context"][~real] == 9).all()
    assert all(array.dtype == np.int32 for array in rows.values())


@pytest.mark.parametrize("ids", [np.zeros(0, int), np.array([3])])
def test_texts_without_pairs_have_none(ids: np.ndarray) -> None:
    assert len(skipgram_pairs(ids, window=2, seed=0)["center"]) == 0
    assert cbow_windows(ids, window=2, seed=0)["context"].shape == (0, 4)
    assert len(count_cooccurrences(ids, words=4).counts) == 0


def test_frequent_words_are_kept_as_word2vec_keeps_them() -> None:
    counts = np.array([900, 99, 1, 0])
    t = 0.01 * 1000
    expected = [(np.sqrt(c / t) + 1) * t / c for c in (900, 99)]  # as in the program word2vec.c
    np.testing.assert_allclose(keep_probabilities(counts, threshold=0.01), [*expected, 1, 1], rtol=1e-12)
    ids = np.repeat(np.arange(3), counts[:3] * 20)
    kept = np.bincount(subsample(ids, keep_probabilities(counts, threshold=0.01), seed=0)) / (counts[:3] * 20)
    np.testing.assert_allclose(kept, [*expected, 1], atol=0.03)
    np.testing.assert_array_equal(subsample(IDS, np.ones(7), seed=0), IDS)


def test_noise_has_the_chances_of_counts_to_the_power_three_quarters() -> None:
    counts = np.array([16, 0, 1, 81])
    expected = np.array([8, 0, 1, 27]) / 36
    np.testing.assert_allclose(noise_probabilities(counts), expected, rtol=1e-12)
    np.testing.assert_allclose(noise_probabilities(counts, power=0), np.array([1, 0, 1, 1]) / 3)
    table = noise_table(expected)
    draws = np.asarray(jax.jit(draw_noise, static_argnames="shape")(jax.random.key(0), *table, shape=(50, 400)))
    assert (draws.shape, draws.dtype) == ((50, 400), np.int32)
    np.testing.assert_allclose(np.bincount(draws.reshape(-1), minlength=4) / draws.size, expected, atol=0.012)


@pytest.mark.parametrize("words", [1, 2, 1000])
def test_the_table_of_boxes_holds_the_probabilities_exactly(words: int) -> None:
    probabilities = noise_probabilities(np.random.default_rng(0).integers(0, 100, words) ** 3 + 1)
    table = noise_table(probabilities)
    held = np.zeros(words)
    np.add.at(held, np.arange(words), table.own.astype(np.float64) / words)
    np.add.at(held, table.other, (1 - table.own.astype(np.float64)) / words)
    np.testing.assert_allclose(held, probabilities, atol=1e-7 / words, rtol=1e-6)


@pytest.mark.parametrize("window", [1, 3, 300])
@pytest.mark.parametrize("texts", [None, TEXTS])
@pytest.mark.parametrize("chunk", [1, 17, 10_000])
def test_cooccurrences_are_sums_of_one_over_the_distance(window: int, texts: np.ndarray | None, chunk: int) -> None:
    expected: dict[tuple[int, int], float] = defaultdict(float)
    for i, a in enumerate(IDS.tolist()):
        for j in range(max(0, i - window), i):
            if texts is None or texts[i] == texts[j]:
                expected[a, int(IDS[j])] += 1 / (i - j)
                expected[int(IDS[j]), a] += 1 / (i - j)
    center, context, counts = count_cooccurrences(IDS, words=7, window=window, texts=texts, chunk=chunk)
    assert list(zip(center.tolist(), context.tolist(), strict=True)) == sorted(expected)
    np.testing.assert_allclose(counts, [expected[pair] for pair in sorted(expected)], rtol=1e-6)
    assert (center.dtype, context.dtype, counts.dtype) == (np.int32, np.int32, np.float32)


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: skipgram_pairs(IDS, window=0, seed=0), "window must be at least 1, got 0"),
        (lambda: skipgram_pairs(IDS / 2, window=1, seed=0), r"ids must be a vector of integers, got float64\[200\]"),
        (lambda: cbow_windows(IDS, window=1, seed=0, texts=TEXTS[:3]), "texts must have a number for each of 200 ids"),
        (lambda: count_cooccurrences(IDS, words=6), r"ids must lie in \[0, 6\), got 0 to 6"),
        (lambda: count_cooccurrences(-IDS, words=7), r"ids must lie in \[0, 7\), got -6 to 0"),
        (lambda: count_cooccurrences(IDS, words=7, texts=TEXTS[:3]), "texts must have a number for each of 200 ids"),
        (lambda: keep_probabilities(np.zeros(3)), "not all 0"),
        (lambda: noise_probabilities(np.array([1, -1])), "counts must be a vector of numbers that are not negative"),
        (lambda: noise_table(np.array([0.5, 0.4])), "not negative with sum 1"),
        (lambda: keep_probabilities(np.ones(3), threshold=0), "threshold must be positive and finite, got 0"),
    ],
)
def test_wrong_arguments_are_refused(make, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        make()
