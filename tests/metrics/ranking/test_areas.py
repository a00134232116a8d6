from functools import partial

import numpy as np
import pytest
import sklearn.metrics as sk

from fjdl.metrics.ranking import areas
from tests.support import float64


def probabilities(rng, size=40):
    """Tied probabilities whose rows sum to exactly 1."""
    return (rng.multinomial(8, [0.2, 0.3, 0.5], size) / 8).astype(np.float32)


@pytest.mark.parametrize(("average", "weighted"), [("macro", False), ("weighted", True), ("micro", True)])
def test_scores_of_several_classes_equal_scikit_learn(rng, average, weighted):
    y, x = rng.integers(0, 3, 40), probabilities(rng)
    options = {"average": average} | ({"sample_weight": rng.random(40).astype(np.float32)} if weighted else {})
    expected = sk.roc_auc_score(y, x, multi_class="ovr", **options)
    np.testing.assert_allclose(areas.roc_auc_score(y, x, **options), expected, rtol=2e-6)
    expected = sk.average_precision_score(y, x, **options)
    np.testing.assert_allclose(areas.average_precision_score(y, x, **options), expected, rtol=2e-6)


@pytest.mark.parametrize("average", [None, "micro"])
def test_scores_of_several_labels_equal_scikit_learn(rng, average):
    y, x, w = rng.integers(0, 2, (40, 3)), probabilities(rng), rng.integers(0, 3, 40)
    options = {"average": average, "sample_weight": w}
    np.testing.assert_allclose(areas.roc_auc_score(y, x, **options), sk.roc_auc_score(y, x, **options), rtol=2e-6)
    expected = sk.average_precision_score(y > 0, x, **options)
    np.testing.assert_allclose(areas.average_precision_score(y > 0, x, **options), expected, rtol=2e-6)


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_areas_of_pairs_of_classes_equal_scikit_learn(rng, average):
    y, x = rng.integers(0, 3, 40), probabilities(rng)
    ours = partial(areas.roc_auc_score, average=average, multi_class="ovo")
    theirs = partial(sk.roc_auc_score, average=average, multi_class="ovo")
    np.testing.assert_allclose(ours(y, x), theirs(y, x), rtol=2e-6)
    counted = rng.random(40) < 0.7
    np.testing.assert_allclose(ours(y, x, sample_weight=counted), theirs(y[counted], x[counted]), rtol=2e-6)


def test_pairs_with_an_absent_class_are_left_out(rng):
    y, x = rng.choice([0, 2], 40), probabilities(rng)
    expected = (sk.roc_auc_score(y == 0, x[:, 0]) + sk.roc_auc_score(y == 2, x[:, 2])) / 2
    np.testing.assert_allclose(areas.roc_auc_score(y, x, multi_class="ovo"), expected, rtol=2e-6)


def test_counted_examples_alone_decide(rng):
    y, x, counted = rng.integers(0, 3, 40), probabilities(rng), rng.random(40) < 0.5
    y[~counted], x[~counted] = 77, np.nan
    for average in ("weighted", "micro"):
        expected = sk.roc_auc_score(y[counted], x[counted], multi_class="ovr", average=average)
        found = areas.roc_auc_score(y, x, sample_weight=counted, average=average)
        np.testing.assert_allclose(found, expected, rtol=2e-6)
        expected = sk.average_precision_score(y[counted], x[counted], average=average)
        found = areas.average_precision_score(y, x, sample_weight=counted, average=average)
        np.testing.assert_allclose(found, expected, rtol=2e-6)


def test_many_positives_and_many_negatives_keep_their_digits(rng):
    size = 100_000
    y = rng.integers(0, 2, size)
    x = (rng.standard_normal(size) + y).astype(np.float32)
    for ours, theirs in (
        (areas.roc_auc_score, sk.roc_auc_score),
        (areas.average_precision_score, sk.average_precision_score),
    ):
        np.testing.assert_allclose(ours(y, x), theirs(y, x), rtol=3e-7)


def test_double_precision_scores_that_are_equal_in_single_precision_are_not_tied():
    y, x = np.array([0, 1]), np.array([1, 1 + 1e-12])
    with float64():
        assert areas.roc_auc_score(y, x) == 1
        assert areas.roc_auc_score(y, x).dtype == np.float64
    assert areas.roc_auc_score(y, x) == 0.5


def test_more_classes_than_the_labels_dtype_can_name(rng):
    y = rng.integers(0, 40, 30).astype(np.uint8)
    x = rng.random((30, 300)).astype(np.float32)
    expected = np.mean([sk.roc_auc_score(y == c, x[:, c]) for c in np.unique(y)])
    np.testing.assert_allclose(areas.roc_auc_score(y, x), expected, rtol=2e-6)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"average": "median"}, "^average must be 'macro', 'weighted', 'micro', 'samples' or None, got 'median'$"),
        ({"multi_class": "raise"}, "^multi_class must be 'ovr' or 'ovo', got 'raise'$"),
        ({"multi_class": "ovo", "average": None}, "^average must be 'macro' or 'weighted' .* got None$"),
        ({"multi_class": "ovo", "sample_weight": np.ones(4)}, "^sample_weight must be boolean .* got float32$"),
    ],
)
def test_options_outside_their_range_are_refused(options, rule):
    with pytest.raises(ValueError, match=rule):
        areas.roc_auc_score(np.array([0, 1, 2, 0]), np.zeros((4, 3), np.float32), **options)


def test_the_averages_of_precision_are_the_same():
    with pytest.raises(ValueError, match=r"^average must be"):
        areas.average_precision_score(np.array([0, 1]), np.zeros(2, np.float32), average="median")
