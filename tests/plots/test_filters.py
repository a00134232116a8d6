import io

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from fjdl.plots import filter_grid
from fjdl.plots.style import NOT_FINITE


def drawn(kernel: np.ndarray) -> list[np.ma.MaskedArray]:
    return [image.get_array() for image in filter_grid(kernel, title="conv1").axes[0].images]


def test_every_filter_of_one_channel_is_an_image_of_its_weights(rng: np.random.Generator) -> None:
    kernel = rng.standard_normal((5, 5, 1, 6))
    images = drawn(kernel)
    assert len(images) == 6
    for k, image in enumerate(images):
        np.testing.assert_allclose(image, kernel[:, :, 0, k])


def test_one_scale_symmetric_around_zero_holds_for_all_filters() -> None:
    kernel = np.zeros((2, 2, 1, 3))
    kernel[0, 0, 0] = [1.0, -4.0, 0.5]
    figure = filter_grid(kernel, title="conv1")
    assert {image.get_clim() for image in figure.axes[0].images} == {(-4.0, 4.0)}
    assert [axes.get_ylabel() for axes in figure.axes[1:]] == ["weight"]


def test_three_channels_are_red_green_and_blue_with_grey_at_zero() -> None:
    kernel = np.zeros((1, 2, 3, 1))
    kernel[0, 1, :, 0] = [2.0, -2.0, 1.0]
    (image,) = drawn(kernel)
    np.testing.assert_allclose(image, [[[0.5, 0.5, 0.5], [1.0, 0.0, 0.75]]])
    assert len(filter_grid(kernel, title="conv1").axes) == 1  # no colour bar


def test_other_channels_are_averaged(rng: np.random.Generator) -> None:
    kernel = rng.standard_normal((3, 3, 16, 2))
    np.testing.assert_allclose(drawn(kernel)[1], kernel[..., 1].mean(axis=2))
    assert filter_grid(kernel, title="").axes[1].get_ylabel() == "mean weight of 16 input channels"


@pytest.mark.parametrize("count", [1, 2, 7, 64])
@pytest.mark.parametrize("size", [(3, 3), (1, 5), (7, 2)])
def test_filters_do_not_overlap_and_all_lie_in_view(count: int, size: tuple[int, int]) -> None:
    axes = filter_grid(np.ones((*size, 1, count)), title="").axes[0]
    boxes = np.array([image.get_extent() for image in axes.images])  # left, right, bottom, top; y points down
    assert len(np.unique(boxes[:, [0, 3]].round(6), axis=0)) == count
    assert boxes[:, 0].min() >= axes.get_xlim()[0]
    assert boxes[:, 1].max() <= axes.get_xlim()[1]
    assert boxes[:, 3].min() >= axes.get_ylim()[1]
    assert boxes[:, 2].max() <= axes.get_ylim()[0]
    for i, (left, right, bottom, top) in enumerate(boxes):
        others = np.delete(boxes, i, axis=0)
        apart = (others[:, 0] > right) | (others[:, 1] < left) | (others[:, 3] > bottom) | (others[:, 2] < top)
        assert apart.all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_weight_that_is_not_finite_is_black_and_spares_the_scale(channels: int, value: float) -> None:
    kernel = np.ones((2, 2, channels, 1))
    kernel[0, 0, 0, 0] = value
    figure = filter_grid(kernel, title="")
    figure.savefig(io.BytesIO())
    (image,) = figure.axes[0].images
    colours = image.to_rgba(image.get_array())
    assert tuple(colours[0, 0]) == to_rgba(NOT_FINITE)
    assert image.get_clim() == (-1.0, 1.0)


def test_inf_minus_inf_over_the_channels_is_black() -> None:
    kernel = np.ones((1, 1, 2, 1))
    kernel[0, 0, :, 0] = [np.inf, -np.inf]
    assert np.ma.getmaskarray(drawn(kernel)[0]).all()


def test_weights_of_zero_are_drawn() -> None:
    np.testing.assert_array_equal(drawn(np.zeros((3, 3, 1, 2)))[0], np.zeros((3, 3)))


@pytest.mark.parametrize("shape", [(0, 3, 1, 2), (3, 3, 0, 2), (3, 3, 1, 0)])
def test_an_empty_kernel_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="kernel must not be empty"):
        filter_grid(np.zeros(shape), title="")
