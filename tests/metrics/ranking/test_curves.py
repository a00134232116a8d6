import jax
import numpy as np
import pytest
import sklearn.metrics as sk

from fjdl.metrics.ranking import curves


def tied(rng, size=60):
    return rng.integers(0, 2, size), np.round(rng.standard_normal(size), 1).astype(np.float32)


@pytest.mark.parametrize("kind", ["none", "floats", "integers", "mask"])
def test_curves_without_repetitions_equal_scikit_learn(rng, kind):
    y, x = tied(rng)
    weights = {
        "none": None,
        "floats": rng.choice(np.array([0, 0.5, 2], np.float32), 60),
        "integers": rng.integers(0, 4, 60),
        "mask": rng.random(60) < 0.5,
    }[kind]
    options = {} if weights is None else {"sample_weight": weights}
    ours = curves.roc_curve(y, x, **options)
    assert [v.shape for v in ours] == [(61,)] * 3
    for a, b in zip(curves.drop_repeated(ours), sk.roc_curve(y, x, drop_intermediate=False, **options), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    ours = curves.precision_recall_curve(y, x, **options)
    assert [v.shape for v in ours] == [(61,), (61,), (60,)]
    for a, b in zip(curves.drop_repeated(ours), sk.precision_recall_curve(y, x, **options), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_repeated_points_leave_the_area_as_it_is(rng):
    y, x = tied(rng)
    curve = curves.roc_curve(y, x)
    np.testing.assert_allclose(curves.auc(curve.fpr, curve.tpr), sk.roc_auc_score(y, x), rtol=1e-6)
    falling = curves.auc(np.asarray(curve.fpr)[::-1], np.asarray(curve.tpr)[::-1])
    np.testing.assert_allclose(falling, sk.roc_auc_score(y, x), rtol=1e-6)


def test_the_area_under_a_long_curve_keeps_its_digits_when_both_are_compiled_together(rng):
    size = 200_000
    y = rng.integers(0, 2, size)
    x, w = (rng.standard_normal(size) + y).astype(np.float32), rng.random(size).astype(np.float32)

    @jax.jit
    def area(y, x, w):
        curve = curves.roc_curve(y, x, sample_weight=w)
        return curves.auc(curve.fpr, curve.tpr)

    expected = sk.roc_auc_score(y, x, sample_weight=w.astype(np.float64))
    np.testing.assert_allclose(area(y, x, w), expected, rtol=1e-6)


def test_a_threshold_is_the_score_itself_and_none_of_those_that_do_not_count():
    y, x = np.array([True, False, True]), np.array([-0.1, 5, -3e38], np.float32)
    curve = curves.roc_curve(y, x, sample_weight=np.array([1, 1, 0]))
    np.testing.assert_array_equal(curve.thresholds, np.array([np.inf, 5, -0.1, -0.1], np.float32))
    np.testing.assert_array_equal(curves.drop_repeated(curve).thresholds, np.array([np.inf, 5, -0.1], np.float32))


def test_an_infinite_score_is_a_point_of_its_own():
    curve = curves.drop_repeated(curves.roc_curve(np.array([1, 0, 1]), np.array([np.inf, 0, -np.inf], np.float32)))
    np.testing.assert_array_equal(curve.thresholds, [np.inf, np.inf, 0, -np.inf])
    np.testing.assert_array_equal(curve.tpr, [0, 0.5, 0.5, 1])


def test_curves_of_no_examples_have_one_point():
    none = np.zeros(0, int), np.zeros(0, np.float32)
    assert [len(v) for v in curves.drop_repeated(curves.roc_curve(*none))] == [1, 1, 1]
    assert [len(v) for v in curves.drop_repeated(curves.precision_recall_curve(*none))] == [1, 1, 0]
