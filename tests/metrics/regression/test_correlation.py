import jax
import numpy as np
import pytest
import scipy.stats
import sklearn.metrics

from fjdl.metrics.base import measure
from fjdl.metrics.regression import correlation

ALL = (correlation.r2(), correlation.explained_variance(), correlation.pearson())


@jax.jit
def streamed(predictions, targets):
    """Each metric over batches along the first axis."""
    results = []
    for metric in ALL:
        state, _ = jax.lax.scan(
            lambda s, batch, m=metric: (m.update(s, *batch), None), metric.init(), (predictions, targets)
        )
        results.append(metric.compute(state))
    return results


def of_others(predictions, targets):
    a, b = targets.reshape(-1).astype(np.float64), predictions.reshape(-1).astype(np.float64)
    r2, explained_variance = sklearn.metrics.r2_score(a, b), sklearn.metrics.explained_variance_score(a, b)
    return r2, explained_variance, scipy.stats.pearsonr(a, b)[0]


@pytest.mark.parametrize("mean", [0, 1e4])
def test_batches_far_from_zero_give_the_scores_of_all_in_float32(rng, mean):
    targets = np.float32(mean + rng.standard_normal((50, 8)))
    predictions = np.float32(targets + 0.5 * rng.standard_normal((50, 8)) + 0.3)
    for value, expected in zip(streamed(predictions, targets), of_others(predictions, targets), strict=True):
        assert value == pytest.approx(expected, rel=1e-5)


def test_a_perfect_prediction_scores_exactly_one(rng):
    targets = np.float32(rng.standard_normal((50, 8)))
    r2, explained_variance, correlation = streamed(targets, targets)
    assert r2 == explained_variance == 1
    assert correlation == pytest.approx(1, abs=1e-6)
    assert abs(correlation) <= 1


def test_predictions_come_first_and_targets_second():
    predictions, targets = np.float32([0, 1, 2, 3]), np.float32([0, 2, 4, 6])
    assert measure(correlation.r2(), predictions, targets) == pytest.approx(
        sklearn.metrics.r2_score(targets, predictions)
    )


def test_weights_leave_examples_out():
    predictions, targets = np.float32([1, 2, 9, np.nan]), np.float32([1, 3, 0, 0])
    assert measure(correlation.r2(), predictions, targets, weights=np.array([1, 1, 0, 0])) == 0.5
    assert np.isnan(measure(correlation.r2(), predictions, targets, weights=np.array([1, 0, 0, 0])))
