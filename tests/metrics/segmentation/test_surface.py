import jax
import numpy as np
import pytest

from fjdl.metrics.base import measure
from fjdl.metrics.segmentation import surface
from tests.metrics.segmentation.oracles import boundary_f_by_hand, hausdorff_of_scipy, percentile_of_surfaces


def test_random_masks_are_as_far_apart_as_in_scipy_and_medpy(rng):
    sparse = rng.uniform(size=(2, 40, 9, 11)) < np.linspace(0.02, 0.9, 40)[:, None, None]
    y_true, y_pred = sparse[:, sparse.any((2, 3)).all(0)]
    assert len(y_true) > 20
    both = jax.jit(lambda a, b, q: surface.hausdorff_distance(a, b, percentile=q))
    pairs = list(zip(y_true, y_pred, strict=True))
    np.testing.assert_allclose(both(y_true, y_pred, 100.0), [hausdorff_of_scipy(*pair) for pair in pairs], rtol=1e-6)
    for percentile in (95.0, 50.0, 0.0):
        expected = [percentile_of_surfaces(*pair, percentile, (1, 1)) for pair in pairs]
        np.testing.assert_allclose(both(y_true, y_pred, percentile), expected, rtol=1e-5, atol=1e-6)
    for tolerance in (0, 1.5):
        expected = [boundary_f_by_hand(*pair, tolerance) for pair in pairs]
        found = surface.boundary_f_score(y_true, y_pred, tolerance=tolerance)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_stray_pixel_moves_the_largest_distance_and_not_its_percentile():
    square = np.zeros((40, 40), bool)
    square[5:20, 5:20] = True
    stray = square.copy()
    stray[39, 39] = True
    assert surface.hausdorff_distance(square, stray) == pytest.approx(20 * np.sqrt(2))
    assert surface.hausdorff_distance(square, stray, percentile=95) == 0


def test_a_mask_inside_of_another_is_as_far_as_their_boundaries():
    inner, outer = np.zeros((9, 9), bool), np.ones((9, 9), bool)
    inner[4, 4] = True
    assert surface.hausdorff_distance(inner, outer) == pytest.approx(4 * np.sqrt(2))


def test_a_shift_within_the_tolerance_is_no_error():
    mask = np.zeros((12, 12), bool)
    mask[3:8, 3:8] = True
    assert surface.boundary_f_score(mask, np.roll(mask, 1, 0), tolerance=1) == 1
    assert surface.boundary_f_score(mask, np.roll(mask, 3, 0), tolerance=0) < 1
    assert surface.boundary_f_score(mask, np.zeros_like(mask), tolerance=np.inf) == 0


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda m: surface.hausdorff_distance(m, m, percentile=101), r"^percentile must lie in \[0, 100\], got 101$"),
        (
            lambda m: surface.hausdorff_distance(m, m, spacing=(0, 1)),
            r"^spacing must be positive and finite, got \(0, 1",
        ),
        (lambda m: surface.boundary_f_score(m, m, tolerance=-1), r"^tolerance must not be negative, got -1$"),
        (lambda m: surface.distance_to(m, spacing=(1, np.inf)), r"^spacing must be positive and finite, got"),
    ],
)
def test_options_outside_their_range_are_refused(call, rule):
    with pytest.raises(ValueError, match=rule):
        call(np.ones((2, 2), bool))


def test_images_without_a_class_are_left_out_of_its_mean_and_ignored_pixels_end_masks():
    labels, predictions = np.zeros((3, 1, 6), int), np.zeros((3, 1, 6), int)
    labels[0, 0, 4:], labels[1, 0, 5] = 1, 255
    predictions[0, 0, 4:], predictions[1, 0, 5], predictions[2, 0, 0] = 1, 1, 1
    metric = surface.class_boundary_f_score(3, tolerance=0.0, ignore_label=255)
    parts = [metric.update(metric.init(), predictions[i], labels[i], weights=None) for i in range(3)]
    total = metric.merge(metric.merge(parts[0], parts[1]), parts[2])
    np.testing.assert_allclose(metric.compute(total), [(1 + 1 + 2 * 5 / 11) / 3, 0.5, np.nan], rtol=1e-6)
    masked = measure(metric, predictions, labels, weights=np.array([True, False, False]))
    np.testing.assert_array_equal(masked, [1, 1, np.nan])


def test_no_classes_are_refused():
    with pytest.raises(ValueError, match=r"^classes must be at least 1, got 0$"):
        surface.class_boundary_f_score(0, tolerance=1.0)
