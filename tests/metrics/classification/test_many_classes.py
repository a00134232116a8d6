"""Scores per class cost O(n + k), and equal those of the table of all pairs."""

from functools import partial

import jax
import numpy as np
import pytest
import sklearn.metrics as sk

from fjdl import metrics
from fjdl.metrics.classification import confusion_table

BIG = 60_000  # the table of all pairs would take 14 GB, and its cells have no int32 numbers
UP, DOWN = np.arange(BIG, dtype=np.int32), np.arange(BIG, dtype=np.int32)[::-1].copy()
DOWN[: BIG // 2] = UP[: BIG // 2]
SCORES = {
    "precision_score": metrics.precision_score,
    "recall_score": metrics.recall_score,
    "f1_score": metrics.f1_score,
    "jaccard_score": metrics.jaccard_score,
    "fbeta_score": partial(metrics.fbeta_score, beta=2.0),
}


@pytest.fixture(scope="module")
def outcomes():
    return confusion_table.class_outcomes(UP, DOWN, tuple(range(BIG)))


def test_the_outcomes_of_60_000_classes_are_counted_without_their_table(outcomes):
    half = UP < BIG // 2
    np.testing.assert_array_equal(outcomes.true_positives, half)
    np.testing.assert_array_equal(outcomes.false_negatives, ~half)
    np.testing.assert_array_equal(outcomes.false_positives, np.where(half, 1, 0))
    np.testing.assert_array_equal(outcomes.true_negatives, np.where(half, BIG - 2, BIG - 1))


@pytest.mark.parametrize("name", SCORES)
def test_averages_over_60_000_classes_equal_scikit_learn(name):
    theirs = partial(sk.fbeta_score, beta=2.0) if name == "fbeta_score" else getattr(sk, name)
    expected = theirs(UP, DOWN, average="macro", zero_division=0)
    np.testing.assert_allclose(SCORES[name](UP, DOWN, average="macro"), expected, rtol=1e-6)


@pytest.mark.by_day_on_pin(1)
def test_agreement_and_specificity_of_60_000_classes():
    """Half of the classes are all right and half all wrong; scikit-learn would fill a table of 27 GB for the first."""
    np.testing.assert_allclose(metrics.balanced_accuracy_score(UP, DOWN), 0.5, rtol=1e-6)
    np.testing.assert_allclose(metrics.cohen_kappa_score(UP, DOWN), 1 - 0.5 / (1 - 1 / BIG), rtol=1e-5)
    specificity = metrics.specificity_score(UP, DOWN, average="macro")
    np.testing.assert_allclose(specificity, 1 - 1 / (2 * (BIG - 1)), rtol=1e-6)
    assert metrics.multilabel_confusion_matrix(UP, DOWN).shape == (BIG, 2, 2)


@pytest.mark.by_day_on_pin(1)
def test_20_000_classes_take_no_table():
    score = jax.jit(partial(metrics.f1_score, average="macro", labels=range(20_000)))
    compiled = score.lower(UP[:20_000], UP[:20_000]).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 4e6
    assert metrics.f1_score(UP[:20_000], UP[:20_000][::-1].copy(), average="macro") == 0


def random_pairs(seed, n=40, k=5):
    rng = np.random.default_rng(seed)
    return *rng.integers(0, k, (2, n)), rng.integers(0, 4, n).astype(np.float32)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("labels", [(0, 1, 2, 3, 4), (3, 1), (2, 9, 0)])
def test_outcomes_equal_those_of_the_table_of_all_pairs(labels, weighted):
    y_true, y_pred, w = random_pairs(0)
    w = w if weighted else None
    expected = sk.multilabel_confusion_matrix(y_true, y_pred, labels=labels, sample_weight=w)
    np.testing.assert_allclose(
        metrics.multilabel_confusion_matrix(y_true, y_pred, labels=labels, sample_weight=w), expected
    )


def test_agreement_leaves_out_examples_of_other_labels():
    y_true, y_pred, w = random_pairs(1)
    inside = np.isin(y_true, (0, 1, 2)) & np.isin(y_pred, (0, 1, 2))
    for ours, theirs in (
        (metrics.balanced_accuracy_score, sk.balanced_accuracy_score),
        (metrics.matthews_corrcoef, sk.matthews_corrcoef),
    ):
        expected = theirs(y_true[inside], y_pred[inside], sample_weight=w[inside])
        np.testing.assert_allclose(ours(y_true, y_pred, labels=(0, 1, 2), sample_weight=w), expected, rtol=1e-6)


def test_nothing_is_left_of_one_class_however_its_weights_round():
    """The true negatives of a class that has everything are exactly none, so that `zero_division` applies."""
    w, same = np.random.default_rng(0).random(1000).astype(np.float32), np.ones(1000, np.int32)
    found = metrics.specificity_score(same, same, labels=(0, 1), average=None, sample_weight=w, zero_division=0.5)
    np.testing.assert_array_equal(found, [1, 0.5])


def test_a_rare_class_keeps_its_digits_beside_a_weight_of_ten_to_the_nine():
    outcomes = confusion_table.class_outcomes(
        np.array([0, 1, 1]), np.array([0, 1, 0]), (0, 1), np.float32([1e9, 3, 0.5])
    )
    np.testing.assert_allclose(outcomes.true_negatives, [3, 1e9], rtol=1e-6)
    np.testing.assert_allclose(outcomes.false_positives, [0.5, 0], rtol=1e-6)


def test_a_table_of_more_cells_than_int32_numbers_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^classes must be at most 46340 for a table of all pairs, got 46341$"):
        metrics.confusion_matrix(46_341)
    with pytest.raises(ValueError, match=r"^the number of labels must be at most 46340 .* got 60000$"):
        metrics.confusion_table(UP, DOWN)


@pytest.mark.parametrize("scale", [None, "linear", "quadratic"])
def test_kappa_without_the_table_equals_that_of_the_table(scale):
    y_true, y_pred, w = random_pairs(3)
    for options in ({}, {"labels": (3, 0, 4)}, {"labels": (4, 1, 2, 3, 0), "sample_weight": w}):
        expected = sk.cohen_kappa_score(y_true, y_pred, weights=scale, **options)
        found = metrics.cohen_kappa_score(y_true, y_pred, weights=scale, **options)
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-6)
    assert np.isnan(metrics.cohen_kappa_score(y_true, y_pred, labels=(9,), weights=scale))
    same, third = np.full(3, 4), np.full(3, 1 / 3, np.float32)
    assert np.isnan(metrics.cohen_kappa_score(same, same, labels=range(5), weights=scale, sample_weight=third))


def test_kappa_of_a_rare_label_keeps_its_digits():
    """One of 10⁶ examples is of the other label, for both raters the same one, then for each another one."""
    n = 10**6
    first, last = np.zeros(n, np.int32), np.zeros(n, np.int32)
    first[0] = last[-1] = 1
    np.testing.assert_allclose(metrics.cohen_kappa_score(first, first), 1)
    np.testing.assert_allclose(metrics.cohen_kappa_score(first, last), 0, atol=2e-6)


@pytest.mark.parametrize("place", [list, tuple, np.asarray, jax.numpy.asarray])
def test_labels_are_any_sequence_of_integers(place):
    y_true, y_pred, _ = random_pairs(2)
    labels = place(np.unique(y_true))
    expected = sk.f1_score(y_true, y_pred, average="macro")
    np.testing.assert_allclose(metrics.f1_score(y_true, y_pred, labels=labels, average="macro"), expected, rtol=1e-6)
    np.testing.assert_array_equal(
        metrics.confusion_table(y_true, y_pred, labels=labels), sk.confusion_matrix(y_true, y_pred)
    )
    shares = np.full((40, 5), 0.2, np.float32)
    np.testing.assert_allclose(metrics.log_loss(y_true, shares, labels=labels), np.log(5), rtol=1e-6)
    assert metrics.top_k_accuracy_score(y_true, shares, labels=labels, k=5) == 1


@pytest.mark.by_day_on_pin(1)
def test_traced_labels_are_refused_by_name():
    with pytest.raises(ValueError, match=r"^labels must be concrete, .* got traced ones"):
        jax.jit(lambda y, labels: metrics.f1_score(y, y, labels=labels, average="macro"))(UP[:3], UP[:3])
