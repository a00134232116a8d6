import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.boxes import convert

CORNERS = np.float32([[4, 1, 6, 7], [0, 0, 0, 0], [3, 3, 1, 2], [-1, 0.5, 2, 8]])


@pytest.mark.parametrize("name", ["center_size", "corner_size"])
def test_each_format_and_back_is_the_identity_also_for_inverted_boxes(name):
    there, back = getattr(convert, f"to_{name}"), getattr(convert, f"from_{name}")
    np.testing.assert_array_equal(back(there(CORNERS)), CORNERS)
    np.testing.assert_array_equal(there(back(CORNERS)), CORNERS)


def test_an_empty_list_of_boxes_stays_empty():
    empty = np.zeros((0, 4), np.float32)
    for function in (
        convert.to_center_size,
        convert.from_center_size,
        convert.to_corner_size,
        convert.from_corner_size,
    ):
        assert jax.eval_shape(function, empty).shape == (0, 4)
    assert convert.clip_to_image(empty, height=1, width=1).shape == (0, 4)


def test_float16_centres_beyond_its_largest_sum_do_not_overflow():
    box = jnp.array([40_000, 40_000, 60_000, 60_000], jnp.float16)
    center = convert.to_center_size(box)
    assert center.dtype == jnp.float16
    np.testing.assert_allclose(np.asarray(center, np.float32), [50_000, 50_000, 20_000, 20_000], rtol=1e-3)


def test_clipping_has_gradient_one_within_the_image_and_on_its_border():
    box = jnp.array([-1.0, 0.0, 5.0, 6.0])
    gradient = jax.grad(lambda b: jnp.sum(convert.clip_to_image(b, height=5, width=5)))(box)
    np.testing.assert_array_equal(gradient, [0, 1, 1, 0])


@pytest.mark.parametrize(("height", "width", "rule"), [(-1, 1, "height .* got -1"), (1, np.nan, "width .* got nan")])
def test_an_image_of_negative_size_is_refused(height, width, rule):
    with pytest.raises(ValueError, match=f"^{rule}$"):
        convert.clip_to_image(CORNERS, height=height, width=width)


def test_boxes_of_masks_end_behind_the_last_pixel(rng):
    """One more than torchvision's `masks_to_boxes`, which ends with it."""
    masks = rng.random((6, 5, 7)) < 0.1
    masks[0] = False
    rows = [np.nonzero(mask) for mask in masks[1:]]
    expected = [[x.min(), y.min(), x.max() + 1, y.max() + 1] if len(x) else [0] * 4 for y, x in rows]
    np.testing.assert_array_equal(convert.mask_boxes(masks), [[0, 0, 0, 0], *expected])


def test_a_smallest_side_of_0_is_refused():
    with pytest.raises(ValueError, match=r"^smallest must be positive, got 0$"):
        convert.large_boxes(CORNERS, smallest=0)
