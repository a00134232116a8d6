"""Scores of classes against scikit-learn, for random labels, averages, weights and absent classes."""

import warnings
from functools import partial

import jax
import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings, strategies as st

from fjdl.metrics.classification import (
    averaged_scores,
    confusion_table,
    label_scores,
    multilabel,
)

pytestmark = pytest.mark.fuzz
many = settings(max_examples=2000, deadline=None, derandomize=True)

N, K = 12, 4
SCORES = ("precision_score", "recall_score", "f1_score", "fbeta_score", "jaccard_score")
LABELS = (tuple(range(K)), (3, 1), (2, 9, 0))
ZERO_DIVISION = ("0", "1", "nan")

seeds = st.integers(0, 2**32 - 1)


def draw(seed, *, classes=K, weighted=True):
    """Labels and predictions that leave out some classes and agree on some examples, and weights with zeros."""
    rng = np.random.default_rng(seed)
    pools = [rng.choice(classes, rng.integers(1, classes + 1), replace=False) for _ in range(2)]
    y_true, y_pred = (rng.choice(pool, N).astype(np.int32) for pool in pools)
    y_pred = np.where(rng.random(N) < rng.choice([0, 0.5, 1]), y_true, y_pred)
    weights = (rng.integers(0, 5, N) * rng.choice([0.125, 1, 1e3], N)).astype(np.float32)
    weights[0] = 1
    return y_true, y_pred, weights if weighted else None


def quietly(function, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args, **options)


def options_of(name):
    return {"beta": 1.5} if name == "fbeta_score" else {}


@partial(jax.jit, static_argnames=("labels", "averages", "zero_division"))
def every_score(y_true, y_pred, weights, *, labels, averages, zero_division):
    return {
        (name, average or ""): getattr(averaged_scores, name)(
            y_true, y_pred, labels=labels, average=average, sample_weight=weights,
            zero_division=float(zero_division), **options_of(name),
        )
        for name in SCORES
        for average in averages
    }  # fmt: skip


def assert_scores_equal(results, y_true, y_pred, weights, average, *, labels, zero_division):
    for name in SCORES:
        if (name, zero_division) == ("jaccard_score", "nan"):
            continue
        expected = quietly(
            getattr(sk, name), y_true, y_pred, labels=labels, average=average, sample_weight=weights,
            zero_division=float(zero_division), **options_of(name),
        )  # fmt: skip
        np.testing.assert_allclose(results[name, average or ""], expected, rtol=1e-5, err_msg=f"{name} {average}")


@many
@given(
    seeds,
    st.booleans(),
    st.sampled_from(LABELS),
    st.sampled_from(ZERO_DIVISION),
    st.sampled_from(("micro", "macro", "weighted", None)),
)
def test_scores_of_classes(seed, weighted, labels, zero_division, average):
    y_true, y_pred, weights = draw(seed, weighted=weighted)
    averages, options = ("micro", "macro", "weighted", None), {"labels": labels, "zero_division": zero_division}
    results = every_score(y_true, y_pred, weights, averages=averages, **options)
    assert_scores_equal(results, y_true, y_pred, weights, average, **options)


@many
@given(
    seeds,
    st.booleans(),
    st.sampled_from((None, (2, 0))),
    st.sampled_from(ZERO_DIVISION),
    st.sampled_from(("micro", "macro", "weighted", "samples", None)),
)
def test_scores_of_indicators(seed, weighted, labels, zero_division, average):
    rng = np.random.default_rng(seed)
    y_true, y_pred = (rng.random((2, N, 3)) < rng.choice([0, 0.3, 0.7], (2, 1, 3))).astype(np.int32)
    weights = draw(seed, weighted=weighted)[2]
    averages, options = (
        ("micro", "macro", "weighted", "samples", None),
        {"labels": labels, "zero_division": zero_division},
    )
    results = every_score(y_true, y_pred, weights, averages=averages, **options)
    assert_scores_equal(results, y_true, y_pred, weights, average, **options)


@partial(jax.jit, static_argnames=("pos_label",))
def binary_scores(y_true, y_pred, weights, *, pos_label):
    return [
        getattr(averaged_scores, name)(y_true, y_pred, pos_label=pos_label, sample_weight=weights, **options_of(name))
        for name in SCORES
    ]


@many
@given(seeds, st.booleans(), st.integers(0, 1))
def test_binary_scores(seed, weighted, pos_label):
    y_true, y_pred, weights = draw(seed, classes=2, weighted=weighted)
    results = binary_scores(y_true, y_pred, weights, pos_label=pos_label)
    for name, result in zip(SCORES, results, strict=True):
        options = {"pos_label": pos_label, "sample_weight": weights, "zero_division": 0, **options_of(name)}
        if pos_label in y_true or pos_label in y_pred:
            expected = quietly(getattr(sk, name), y_true, y_pred, **options)
        else:
            expected = 0
        np.testing.assert_allclose(result, expected, rtol=1e-5, err_msg=name)


@jax.jit
def agreements(y_true, y_pred, weights):
    options = {"labels": range(K), "sample_weight": weights}
    return {
        "balanced_accuracy_score": label_scores.balanced_accuracy_score(y_true, y_pred, **options),
        "matthews_corrcoef": label_scores.matthews_corrcoef(y_true, y_pred, **options),
        "accuracy_score": label_scores.accuracy_score(y_true, y_pred, sample_weight=weights),
        "zero_one_loss": label_scores.zero_one_loss(y_true, y_pred, sample_weight=weights),
        "hamming_loss": label_scores.hamming_loss(y_true, y_pred, sample_weight=weights),
        "linear": label_scores.cohen_kappa_score(y_true, y_pred, weights="linear", **options),
        "quadratic": label_scores.cohen_kappa_score(y_true, y_pred, weights="quadratic", **options),
        "": label_scores.cohen_kappa_score(y_true, y_pred, **options),
        "confusion": confusion_table.confusion_table(y_true, y_pred, **options),
        "multilabel": multilabel.multilabel_confusion_matrix(y_true, y_pred, **options),
    }


@many
@given(seeds, st.booleans())
def test_agreement(seed, weighted):
    y_true, y_pred, weights = draw(seed, weighted=weighted)
    results = agreements(y_true, y_pred, weights)
    options = {"labels": range(K), "sample_weight": weights}
    expected = {
        "confusion": quietly(sk.confusion_matrix, y_true, y_pred, **options),
        "multilabel": quietly(sk.multilabel_confusion_matrix, y_true, y_pred, **options),
    }
    for kind in ("", "linear", "quadratic"):
        expected[kind] = quietly(sk.cohen_kappa_score, y_true, y_pred, weights=kind or None, **options)
    for name in results.keys() - expected.keys():
        expected[name] = quietly(getattr(sk, name), y_true, y_pred, sample_weight=weights)
    for name, result in results.items():
        np.testing.assert_allclose(result, expected[name], rtol=1e-4, atol=2e-6, err_msg=name)


@partial(jax.jit, static_argnames="k")
def top_k(y_true, y_score, weights, *, k):
    options = {"k": k, "labels": (2, 3, 5, 7, 11), "sample_weight": weights}
    return label_scores.top_k_accuracy_score(y_true, y_score, **options), label_scores.top_k_error(
        y_true, y_score, **options
    )


@many
@given(seeds, st.booleans(), st.integers(1, 6))
def test_top_k(seed, weighted, k):
    rng, weights = np.random.default_rng(seed), draw(seed, weighted=weighted)[2]
    hostile = np.float32([-3e38, -1, -1e-30, 0, 1e-30, 1e-3, 0.5, 1, 1 + 2**-23, 2, 3e38])
    y_score = np.stack([rng.choice(hostile, 5, replace=False) for _ in range(N)])
    y_true = rng.choice([2, 3, 5, 7, 11], N).astype(np.int32)
    accuracy, error = top_k(y_true, y_score, weights, k=k)
    expected = quietly(sk.top_k_accuracy_score, y_true, y_score, k=k, labels=(2, 3, 5, 7, 11), sample_weight=weights)
    np.testing.assert_allclose([accuracy, 1 - error], [expected, expected], rtol=1e-5, atol=1e-6)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(seeds, st.sampled_from(("micro", "macro", "weighted")))
def test_labels_are_inferred_as_by_scikit_learn(seed, average):
    names = np.int32([-7, 3, 4, 100])
    y_true, y_pred, _ = draw(seed)
    y_true, y_pred = names[y_true], names[y_pred]
    np.testing.assert_allclose(
        averaged_scores.f1_score(y_true, y_pred, average=average),
        quietly(sk.f1_score, y_true, y_pred, average=average, zero_division=0),
        rtol=1e-5,
    )
    np.testing.assert_array_equal(
        confusion_table.confusion_table(y_true, y_pred), quietly(sk.confusion_matrix, y_true, y_pred)
    )
