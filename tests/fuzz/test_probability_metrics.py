"""Scores of probabilities and calibration against plain numpy in float64."""

from functools import partial

import jax
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from fjdl.metrics import base
from fjdl.metrics.classification import probabilities
from fjdl.metrics.uncertainty import calibration

pytestmark = pytest.mark.fuzz
many = settings(max_examples=2000, deadline=None, derandomize=True)

N, K = 12, 3
EPS = float(np.finfo(np.float32).eps)
HOSTILE = np.float32([0, -0.0, 1e-38, 1e-10, EPS / 2, EPS, 0.1, 0.25, 0.5, 0.75, 0.9, 1 - EPS, 1 - EPS / 2, 1])

seeds = st.integers(0, 2**32 - 1)


def draw(seed, *shape):
    """Probabilities of which some lie at the ends, labels, and weights of which some are 0."""
    rng = np.random.default_rng(seed)
    p = np.where(rng.random(shape) < 0.5, rng.choice(HOSTILE, shape), rng.random(shape)).astype(np.float32)
    weights = rng.choice(np.float32([0, 0.25, 1, 1e4]), N)
    weights[0] = 1
    return p, rng.integers(0, shape[1] if len(shape) == 2 else 2, N).astype(np.int32), weights


@jax.jit
def scores(y_true, p, weights):
    streamed = [probabilities.negative_log_likelihood(), probabilities.brier_score()]
    return [
        probabilities.log_loss(y_true, p, sample_weight=weights),
        probabilities.brier_score_loss(y_true, p, sample_weight=weights),
        probabilities.brier_score_loss(y_true, p, scale_by_half=True),
        *[base.measure(metric, p, y_true, weights=weights) for metric in streamed],
    ]


def expected_scores(y_true, columns, weights):
    k = columns.shape[1]
    indicators = np.eye(k)[y_true]
    losses = -np.log(np.clip(np.sum(indicators * columns, axis=1), EPS, 1 - EPS))
    distances = np.sum((indicators - columns) ** 2, axis=1)
    scaled = distances / (2 if k == 2 else 1)
    mean = partial(np.average, weights=weights)
    return [mean(losses), mean(scaled), distances.mean() / 2, mean(losses), mean(scaled)]


@many
@given(seeds, st.sampled_from([2, K]))
def test_probabilities_of_classes(seed, k):
    p, y_true, weights = draw(seed, N, k)
    expected = expected_scores(y_true, p.astype(np.float64), weights)
    np.testing.assert_allclose(scores(y_true, p, weights), expected, rtol=1e-5, atol=1e-7)


@many
@given(seeds)
def test_probabilities_of_yes(seed):
    p, y_true, weights = draw(seed, N)
    columns = np.stack([np.float32(1) - p, p], axis=1).astype(np.float64)
    expected = expected_scores(y_true, columns, weights)
    np.testing.assert_allclose(scores(y_true, p, weights), expected, rtol=1e-5, atol=1e-7)


@partial(jax.jit, static_argnames="bins")
def reliability(confidences, correct, weights, *, bins):
    metric = calibration.calibration(bins)
    parts = [metric.update(metric.init(), *[x[i::2] for x in (confidences, correct)], weights[i::2]) for i in (0, 1)]
    diagram = metric.compute(metric.merge(*parts))
    expected = calibration.expected_calibration_error(diagram)
    return diagram, expected, calibration.maximum_calibration_error(diagram)


@many
@given(seeds, st.sampled_from([1, 2, 7, 10, 15]))
def test_calibration(seed, bins):
    confidences, correct, weights = draw(seed, N)
    diagram, expected_error, largest_error = reliability(confidences, correct, weights, bins=bins)
    upper = np.arange(1, bins + 1, dtype=np.float32) / np.float32(bins)
    gaps, seen, heavy = [], [], weights.astype(np.float64)
    for i in range(bins):
        low = upper[i - 1] if i else np.float32(-1)
        inside = (weights > 0) & (confidences > low) & (confidences <= upper[i])
        seen.append(heavy[inside].sum())
        gaps.append(0.0)
        if inside.any():
            confidence, accuracy = (np.average(x[inside], weights=heavy[inside]) for x in (confidences, correct))
            gaps[-1] = abs(confidence - accuracy)
            np.testing.assert_allclose(
                [diagram.confidence[i], diagram.accuracy[i]], [confidence, accuracy], rtol=1e-5, atol=1e-7
            )
    np.testing.assert_allclose(diagram.seen, seen, rtol=1e-6)
    np.testing.assert_allclose(expected_error, np.dot(gaps, seen) / np.sum(seen), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(largest_error, np.max(gaps), rtol=1e-5, atol=1e-6)
