import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from fjdl import metrics

SCORES = [
    (metrics.precision, sklearn.metrics.precision_score),
    (metrics.recall, sklearn.metrics.recall_score),
    (metrics.f1, sklearn.metrics.f1_score),
]
AVERAGES = [(metrics.macro, "macro"), (metrics.micro, "micro")]

BINARY = np.array([[35, 10], [25, 80]])  # negatives first
THREE = np.array([[30, 20, 10], [50, 60, 10], [20, 20, 80]]).T  # the notes print predictions in rows
OTHER = np.array([[21, 2, 7], [10, 11, 9], [3, 1, 26]])


def test_w14_w15_w17_precision_recall_and_f1_of_the_binary_table():
    np.testing.assert_allclose(metrics.precision(BINARY)[1], 0.8888889, rtol=1e-6)
    np.testing.assert_allclose(metrics.recall(BINARY)[1], 0.7619048, rtol=1e-6)
    np.testing.assert_allclose(metrics.f1(BINARY)[1], 0.8205128, rtol=1e-6)


def test_w16_accuracy_of_the_binary_table_is_0_767_and_not_the_0_7_of_the_notes():
    np.testing.assert_allclose(metrics.accuracy_from(BINARY), 115 / 150, rtol=1e-6)


def test_w19_accuracy_of_the_three_class_table():
    np.testing.assert_allclose(metrics.accuracy_from(THREE), 170 / 300, rtol=1e-6)


@pytest.mark.parametrize(
    ("score", "matrix", "per_class", "micro", "macro", "weighted"),
    [
        (metrics.precision, THREE, [0.5, 0.5, 0.6666667], 0.5666667, 0.5555556, 0.5555556),
        (metrics.recall, THREE, [0.3, 0.6, 0.8], 0.5666667, 0.5666667, 0.5666667),
        (metrics.f1, THREE, [0.375, 0.5454545, 0.7272727], 0.5666667, 0.5492424, 0.5492424),
        (metrics.precision, OTHER, [0.6176471, 0.7857143, 0.6190476], 0.6444444, 0.6741363, 0.6741363),
        (metrics.recall, OTHER, [0.7, 0.3666667, 0.8666667], 0.6444444, 0.6444444, 0.6444444),
        (metrics.f1, OTHER, [0.65625, 0.5, 0.7222222], 0.6444444, 0.6261574, 0.6261574),
    ],
    ids=["W20", "W21", "W22", "W23-precision", "W23-recall", "W23-f1"],
)
def test_w20_to_w23_scores_and_averages_of_the_notes_tables(score, matrix, per_class, micro, macro, weighted):
    np.testing.assert_allclose(score(matrix), per_class, rtol=2e-7)
    np.testing.assert_allclose(metrics.micro(score, matrix), micro, rtol=2e-7)
    np.testing.assert_allclose(metrics.macro(score, matrix), macro, rtol=2e-7)
    np.testing.assert_allclose(metrics.weighted(score, matrix), weighted, rtol=2e-7)


def test_w23_a_diagonal_matrix_is_perfect():
    perfect = np.diag([30, 30, 30])
    assert metrics.accuracy_from(perfect) == 1
    for score, _ in SCORES:
        np.testing.assert_array_equal(score(perfect), np.ones(3))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12),
    st.sampled_from([0.0, 1.0, np.nan]),
)
def test_scores_and_averages_equal_scikit_learn_with_absent_classes(pairs, zero_division):
    labels, predictions = np.array(pairs).T
    matrix = metrics.measure(metrics.confusion_matrix(4), predictions, labels)
    np.testing.assert_allclose(
        metrics.accuracy_from(matrix), sklearn.metrics.accuracy_score(labels, predictions), rtol=1e-6
    )
    for ours, theirs in SCORES:
        score = partial(ours, zero_division=zero_division)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = partial(theirs, labels, predictions, labels=range(4), zero_division=zero_division)
            np.testing.assert_allclose(score(matrix), expected(average=None), rtol=1e-6)
            for average, name in AVERAGES:
                np.testing.assert_allclose(average(score, matrix), expected(average=name), rtol=1e-6)


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
    with pytest.raises(ValueError, match=r"^precision: argument `matrix` must be Num\[Array, 'k k'\].* got "):
        metrics.precision(np.zeros((2, 3)))
