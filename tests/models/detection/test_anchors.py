"""Anchors from the size of an image: as many as a detector has outputs, in their order, around the right cells."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import boxes, models, nn

VGG = partial(models.VGG, stages=(1, 1, 1), widths=(4, 6, 8))


def outputs_of(network: models.RetinaNet | models.SSD, size: tuple[int, int]) -> int:
    model, x = nn.pure(network), jax.ShapeDtypeStruct((1, *size, 3), jnp.float32)
    params, stats = jax.eval_shape(model.init, jax.random.key(0), x)
    return jax.eval_shape(model.apply, params, stats, x)[0]["offsets"].shape[1]


@pytest.mark.by_day_on_pin(0)
def test_those_of_retinanet_go_from_level_to_level_with_strides_that_double() -> None:
    """Cells of stages 2 and 3 of a VGG have strides 2 and 4, and a third level follows."""
    network = models.RetinaNet(3, VGG, ("stage2", "stage3"), extra=1, anchors=2, width=4, convs=0)
    anchors = models.retinanet_anchors(network, (22, 18), stride=2, octaves=2, ratios=(4.0,))
    sizes = [(11, 9), (5, 4), (3, 2)]
    assert len(anchors) == 2 * sum(rows * columns for rows, columns in sizes) == outputs_of(network, (22, 18))
    np.testing.assert_allclose(anchors[0], [1 - 2, 1 - 8, 1 + 2, 1 + 8])  # 8 pixels: 4 wide and 16 high
    center, sides = np.array([1, 3]), np.array([4, 16]) * np.sqrt(2)
    np.testing.assert_allclose(boxes.to_center_size(anchors)[2 * 9 + 1], [*center, *sides], rtol=1e-6)
    last = np.array([4 * 2 * 0.5 + 8, 4 + 2 * 8])  # the middle of the last cell, of stride 8
    np.testing.assert_allclose(boxes.to_center_size(anchors)[-2], [*last, 16, 64], rtol=1e-6)


def test_those_of_ssd_are_parts_of_the_shorter_side() -> None:
    network = models.SSD(2, widths=(4, 4, 4), first=1, anchors=4)
    anchors = models.ssd_anchors(network, (20, 30), least=0.2, largest=0.5, ratios=(4.0,))
    assert len(anchors) == 4 * (5 * 8 + 3 * 4) == outputs_of(network, (20, 30))
    sides = np.sqrt(20 * 0.2 * 20 * 0.5)
    expected = [[2, 2, 4, 4], [2, 2, sides, sides], [2, 2, 8, 2], [2, 2, 2, 8]]
    np.testing.assert_allclose(boxes.to_center_size(anchors[:4]), expected, rtol=1e-6)
    np.testing.assert_allclose(boxes.to_center_size(anchors[-4]), [28, 20, 10, 10], rtol=1e-6)


def test_another_number_of_shapes_than_the_network_has_anchors_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^anchors of a cell must be as many as shapes, got 6 and 4$"):
        models.ssd_anchors(models.SSD(2), (32, 32), ratios=(2.0,))
    with pytest.raises(ValueError, match=r"^anchors of a cell must be as many as shapes, got 9 and 3$"):
        models.retinanet_anchors(models.RetinaNet(2, VGG), (32, 32), octaves=1)
    with pytest.raises(ValueError, match=r"^sizes must be one for each of the 3 levels, got 5$"):
        models.faster_rcnn_anchors(models.FasterRCNN(2, VGG, ("stage2", "stage3")), (16, 16))
