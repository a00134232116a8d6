"""R-CNN beside its backbone on regions that are cut out by slices."""

from functools import partial

import jax
import numpy as np
import pytest

from fjdl import models, nn
from fjdl.models.detection.rcnn import region_images
from tests.models.parity import random_variables

VGG = partial(models.VGG, stages=(1, 1, 1), widths=(4, 6, 8))


def ramps(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """An image of three planes, of which bilinear samples are exact."""
    y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
    return np.stack([a * x + b * y + c for a, b, c in 0.1 * rng.standard_normal((3, 3))], axis=-1).astype(np.float32)


def test_regions_fill_all_but_the_outer_pixels_and_zeros_lie_beyond_the_image(rng: np.random.Generator) -> None:
    image = ramps(20, 24, rng)
    boxes = np.float32([[4, 5, 12, 13], [8, 4, 16, 12], [0, 0, 8, 8]])
    cut = np.asarray(region_images(image[None], boxes[None], size=12, context=2)[0])
    np.testing.assert_allclose(cut[0], image[3:15, 2:14], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(cut[1], image[2:14, 6:18], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(cut[2, 0], 0)  # two rows above the image; samples one row above are the border's
    np.testing.assert_allclose(cut[2, 3:, 3:], image[1:10, 1:10], rtol=1e-5, atol=1e-6)
    twice = np.asarray(region_images(image[None], np.float32([[[4, 4, 20, 16]]]), size=4, context=0)[0, 0])
    np.testing.assert_allclose(twice, image[4:16, 4:20].reshape(4, 3, 4, 4, 3).mean((1, 3)), rtol=1e-5, atol=1e-5)


@pytest.mark.by_day_on_pin(1)
def test_each_region_goes_through_the_backbone_by_itself(rng: np.random.Generator) -> None:
    images = np.stack([ramps(16, 16, rng) for _ in range(2)])
    inputs = {
        "image": images,
        "proposals": np.float32([[[2, 3, 10, 11], [6, 6, 14, 14]], [[4, 4, 12, 12], [7, 2, 15, 10]]]),
        "valid": np.array([[True, True], [True, False]]),
    }
    model = nn.pure(models.RCNN(2, VGG, "pool2", size=8, context=0, hidden=5))
    params, stats = random_variables(model, inputs)
    outputs, _ = jax.jit(model.apply)(params, stats, inputs)
    assert outputs["logits"].shape == (2, 2, 3)
    np.testing.assert_array_equal(outputs["proposals"], inputs["proposals"])
    np.testing.assert_array_equal(outputs["valid"], inputs["valid"])
    crops = np.stack(
        [
            image[int(y0) : int(y1), int(x0) : int(x1)]
            for image, boxes in zip(images, inputs["proposals"], strict=True)
            for x0, y0, x1, y1 in boxes
        ]
    )
    features = nn.pure(VGG(), outputs=("pool2",))
    whole, _ = random_variables(features, crops)
    maps, _ = jax.jit(features.apply)({**whole, **params["backbone"]}, {}, crops)
    y, head = np.asarray(maps["pool2"]).reshape(2, 2, -1), params["boxes"]
    for name in ("hidden0", "hidden1"):
        y = np.maximum(y @ head[name]["kernel"] + head[name]["bias"], 0)
    for name, found in (("scores", outputs["logits"]), ("boxes", outputs["offsets"].reshape(2, 2, 12))):
        np.testing.assert_allclose(found, y @ head[name]["kernel"] + head[name]["bias"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("context", "message"), [(4, r"less than half the size of 8, got 4"), (-1, r"least 0, got -1")]
)
def test_a_context_that_does_not_fit_is_refused(context: int, message: str) -> None:
    with pytest.raises(ValueError, match=f"^context must be .*{message}"):
        region_images(np.zeros((1, 4, 4, 1), np.float32), np.zeros((1, 1, 4), np.float32), size=8, context=context)
