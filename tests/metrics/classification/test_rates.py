from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings, strategies as st

from fjdl import metrics
from fjdl.metrics.classification import rates
from fjdl.metrics.classification.outcomes import one_against_rest

SCORES = [
    (metrics.precision, sklearn.metrics.precision_score),
    (metrics.recall, sklearn.metrics.recall_score),
    (metrics.f1, sklearn.metrics.f1_score),
]
AVERAGES = [(metrics.macro, "macro"), (metrics.micro, "micro")]


@partial(jax.jit, static_argnames="zero_division")
def every_score(labels, predictions, zero_division):
    """Of each score, the values per class and their averages."""
    matrix = metrics.measure(metrics.confusion_matrix(4), predictions, labels)
    bound = [partial(score, zero_division=float(zero_division)) for score, _ in SCORES]
    averaged = [(score(matrix), *[average(score, matrix) for average, _ in AVERAGES]) for score in bound]
    return metrics.accuracy_from(matrix), averaged


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=12, max_size=12),
    st.sampled_from([1, 4, 12]),
    st.sampled_from(["0", "1", "nan"]),
)
@pytest.mark.by_day_on_pin(0)
def test_scores_and_averages_equal_scikit_learn_with_absent_classes(pairs, repeats, zero_division):
    labels, predictions = np.repeat(np.array(pairs)[: 12 // repeats], repeats, axis=0).T
    accuracy, averaged = every_score(labels, predictions, zero_division)
    np.testing.assert_allclose(accuracy, sklearn.metrics.accuracy_score(labels, predictions), rtol=1e-6)
    for (_, theirs), values in zip(SCORES, averaged, strict=True):
        for average, value in zip([None, *[name for _, name in AVERAGES]], values, strict=True):
            expected = theirs(labels, predictions, labels=range(4), average=average, zero_division=float(zero_division))
            np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_scores_of_an_empty_matrix_are_zero_division_and_its_accuracy_is_nan():
    empty = jnp.zeros((2, 2))
    assert jnp.isnan(metrics.accuracy_from(empty))
    for score, _ in SCORES:
        np.testing.assert_array_equal(score(empty), [0, 0])
        np.testing.assert_array_equal(score(empty, zero_division=1.0), [1, 1])
        assert metrics.macro(score, empty) == 0
        assert metrics.micro(score, empty) == 0
        assert jnp.isnan(metrics.weighted(score, empty))


def test_gradients_of_scores_of_absent_classes_are_zero():
    matrix = jnp.array([[2.0, 0.0], [0.0, 0.0]])
    for score, _ in SCORES:
        gradient = jax.grad(lambda m, score=score: score(m)[1])(matrix)
        assert jnp.isfinite(gradient).all()


def test_large_integer_matrices_do_not_wrap():
    np.testing.assert_allclose(metrics.accuracy_from(jnp.full((2, 2), 2**30)), 0.5)


def test_a_matrix_that_is_not_square_is_refused():
    message = r"^precision: argument `matrix` must be Outcomes or Num\[Array, 'k k'\].* got "
    with pytest.raises(ValueError, match=message):
        metrics.precision(np.zeros((2, 3)))


def test_a_negative_beta_is_refused():
    with pytest.raises(ValueError, match=r"^beta must not be negative, got -1.0$"):
        rates.fbeta(np.eye(2), beta=-1.0)


def test_rare_classes_keep_their_digits_beside_large_ones():
    matrix = np.float32([[2e9, 30], [10, 5]])
    np.testing.assert_allclose(rates.specificity(matrix), [5 / 15, 1 - 1.5e-8], rtol=1e-6)
    np.testing.assert_allclose(rates.npv(matrix), [5 / 35, 1 - 5e-9], rtol=1e-6)
    np.testing.assert_allclose(rates.false_positive_rate(matrix), [10 / 15, 1.5e-8], rtol=1e-6)


def test_scores_of_outcomes_average_like_those_of_a_matrix():
    matrix = np.array([[5, 1, 2], [0, 7, 3], [4, 4, 0]])
    counted = one_against_rest(matrix)
    for average in (metrics.macro, metrics.micro, metrics.weighted):
        np.testing.assert_allclose(average(rates.jaccard, counted), average(rates.jaccard, matrix), rtol=1e-6)
