import numpy as np
import pytest

from fjdl import metrics
from fjdl.metrics import measure

INDEX = np.arange(16 * 12 * 2).reshape(16, 12, 2)
X, Y = (INDEX * 37) % 101 / 100, (INDEX * 37 + INDEX % 7 * 5) % 101 / 100


@pytest.mark.parametrize(
    ("options", "value"),
    [
        ({}, 0.3267715837086435),
        ({"window": 3}, 0.32650892553359284),
        ({"sigma": 1.5}, 0.3142829776344366),  # gaussian_weights=True, use_sample_covariance=False
    ],
)
def test_the_values_are_those_of_scikit_image_0_26(options, value):
    images = X.astype(np.float32), Y.astype(np.float32)
    found = metrics.structural_similarity(*images, data_range=1.0, **options)
    np.testing.assert_allclose(found, value, rtol=2e-6)
    bytes_ = [np.round(255 * x).astype(np.uint8) for x in (X, Y)]
    np.testing.assert_allclose(metrics.structural_similarity(*bytes_, data_range=255, **options), value, atol=2e-3)


def test_bright_images_keep_digits():
    """Without the term of the means the value does not depend on a constant, which squares in float32 would swamp."""
    steps = [np.round(64 * x) / 64 for x in (X, Y)]
    dark, bright = ([np.float32(x + start) for x in steps] for start in (0, 1000))
    dark, bright = (metrics.structural_similarity(*pair, data_range=1.0, k1=1e9) for pair in (dark, bright))
    np.testing.assert_allclose(bright, dark, rtol=1e-4)


def test_the_mean_over_batches_is_that_of_images():
    images = np.stack([X, Y, X]).astype(np.float32), np.stack([Y, Y, X]).astype(np.float32)
    each = metrics.structural_similarity(*images, data_range=1.0)
    np.testing.assert_allclose(each[1:], 1, rtol=1e-6)
    metric = metrics.ssim(1.0)
    np.testing.assert_allclose(
        measure(metric, *images, weights=np.array([2.0, 1.0, 0.0])), (2 * each[0] + 1) / 3, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"window": 4}, "^window must be odd and at least 3, got 4$"),
        ({"window": 13}, r"^images must have at least 13 rows and columns, got \(16, 12\)$"),
        ({"sigma": 0.0}, "^sigma must be positive and finite, got 0.0$"),
        ({"data_range": 0.0}, "^data_range must be positive and finite, got 0.0$"),
    ],
)
def test_options_out_of_range_are_refused(options, rule):
    with pytest.raises(ValueError, match=rule):
        metrics.structural_similarity(X, Y, **{"data_range": 1.0, **options})
