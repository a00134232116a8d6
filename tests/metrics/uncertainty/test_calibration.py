from functools import partial

import jax
import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from fjdl.metrics import base
from fjdl.metrics.uncertainty import calibration


def measured(bins, *arrays, **options):
    return jax.jit(partial(base.measure, calibration.calibration(bins)))(*arrays, **options)


def test_the_diagram_equals_scikit_learn(rng):
    confidences, correct = rng.uniform(0, 1, 200).astype(np.float32), rng.integers(0, 2, 200)
    diagram = measured(8, confidences, correct)
    accuracy, confidence = calibration_curve(correct, confidences, n_bins=8)
    np.testing.assert_allclose(diagram.confidence, confidence, rtol=1e-6)
    np.testing.assert_allclose(diagram.accuracy, accuracy, rtol=1e-6)


@pytest.mark.parametrize("bins", [1, 10])
def test_edges_belong_to_the_bin_below(bins):
    confidences = np.arange(bins + 1, dtype=np.float32) / np.float32(bins)
    diagram = measured(bins, confidences, np.ones(bins + 1, bool))
    np.testing.assert_array_equal(diagram.seen, [2] + [1] * (bins - 1))


def test_masked_confidences_do_not_count_even_if_nan():
    confidences, weights = np.float32([0.5, np.nan, 0.7]), np.float32([1, 0, 1])
    diagram = measured(1, confidences, np.array([1, 1, 0]), weights=weights)
    np.testing.assert_allclose(diagram, [[0.6], [0.5], [2]], rtol=1e-6)


def test_perfect_calibration_has_no_error():
    confidences, correct = np.repeat(np.float32([0.25, 0.75]), 4), np.array([1, 0, 0, 0, 1, 1, 1, 0])
    diagram = measured(10, confidences, correct)
    assert calibration.expected_calibration_error(diagram) == 0
    assert calibration.maximum_calibration_error(diagram) == 0


def test_fewer_bins_than_one_are_refused():
    with pytest.raises(ValueError, match=r"^bins must be at least 1, got 0$"):
        calibration.calibration(0)
