import math

import numpy as np
import pytest

from fjdl.metrics.base import measure
from fjdl.metrics.image.signal_noise import peak_signal_noise_ratio, psnr

BLACK, WHITE = np.zeros((2, 2, 2, 3), np.uint8), np.full((2, 2, 2, 3), 255, np.uint8)


def test_bytes_do_not_wrap():
    np.testing.assert_allclose(peak_signal_noise_ratio(BLACK, WHITE, data_range=255), [0, 0], atol=1e-5)
    one_off = peak_signal_noise_ratio(BLACK, BLACK + np.uint8(1), data_range=255)
    np.testing.assert_allclose(one_off, [20 * math.log10(255)] * 2, rtol=1e-6)


def test_errors_are_pooled_over_images_before_the_logarithm():
    predictions = BLACK.copy()
    predictions[0] = 10
    assert measure(psnr(255), predictions, BLACK) == pytest.approx(10 * math.log10(255**2 / 50), rel=1e-6)


@pytest.mark.parametrize("data_range", [0, -1, math.inf, math.nan])
def test_a_range_that_is_none_is_refused(data_range):
    with pytest.raises(ValueError, match=r"^data_range must be positive and finite, got"):
        psnr(data_range)
    with pytest.raises(ValueError, match=r"^data_range must be positive and finite, got"):
        peak_signal_noise_ratio(BLACK, WHITE, data_range=data_range)
