"""Crops around objects, as SSD draws them."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from fjdl.augment.pixels import ascending
from fjdl.augment.sample import Sample, boxes_there, resized_crop_sample, size_of
from fjdl.boxes import pairwise_iou
from fjdl.checks import at_least, within
from fjdl.typing import Array, Bool, Float, Int, PRNGKey, typed

OVERLAPS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)


@typed
def centred_crop_sample(
    sample: Sample, window: Int[Array, "4"], *, size: tuple[int, int], antialias: bool = True, smallest: float = 1.0
) -> dict[str, Array]:
    """`resized_crop_sample` that keeps only the boxes whose centre lies in the window."""
    if "boxes" in sample:
        inside = _centred(sample["boxes"], window[None])[0]
        sample = {**sample, "valid": inside & boxes_there(sample)}
    return resized_crop_sample(sample, window, size=size, antialias=antialias, smallest=smallest)


@typed
def random_iou_crop_sample(
    key: PRNGKey,
    sample: Sample,
    *,
    size: tuple[int, int],
    overlaps: Sequence[float] = OVERLAPS,
    scale: tuple[float, float] = (0.3, 1.0),
    ratio: tuple[float, float] = (0.5, 2.0),
    attempts: int = 40,
    antialias: bool = True,
    smallest: float = 1.0,
) -> dict[str, Array]:
    """`centred_crop_sample` of a random window that overlaps an object enough (Liu et al. 2016, arXiv:1512.02325).

    The whole image, or one of `overlaps`, is chosen, all with the same probability. Of `attempts` windows, whose sides
    are independent and uniform parts of the image's between the two of `scale`, the first is taken which has a width /
    height within `ratio`, the centre of a valid box in it, and an IoU of at least the overlap with such a box; where
    none has, and in a sample without a valid box, it is the whole image. The result has the `size`. Raises `ValueError`
    unless overlaps lie in [0, 1], both ranges ascend above 0, and for a scale above 1 or no attempts.
    """
    within("[0, 1]", overlaps=tuple(overlaps))
    ascending("scale", scale, high=1.0)
    ascending("ratio", ratio)
    at_least(1, attempts=attempts)
    choice, drawing = jax.random.split(key)
    extent = jnp.array(size_of(sample), jnp.float32)[:, None]
    drawn = jax.random.uniform(drawing, (4, attempts), jnp.float32)
    sides = jnp.maximum(jnp.round(extent * (scale[0] + (scale[1] - scale[0]) * drawn[:2])), 1)
    starts = jnp.floor(drawn[2:] * (extent - sides + 1))
    windows = jnp.concatenate([jnp.minimum(starts, extent - sides), sides]).astype(jnp.int32).T
    aspect = sides[1] / sides[0]
    least = jax.lax.select_n(
        jax.random.randint(choice, (), 0, len(overlaps) + 1),
        *(jnp.float32(overlap) for overlap in (*overlaps, jnp.inf)),
    )
    fits = (aspect >= ratio[0]) & (aspect <= ratio[1]) & _overlapping(sample, windows, least)
    first = fits & (jnp.cumsum(fits) == 1)
    found = jnp.sum(jnp.where(first[:, None], windows, 0), axis=0, dtype=jnp.int32)
    whole = jnp.array([0, 0, *size_of(sample)], jnp.int32)
    window = jnp.where(jnp.any(fits), found, whole)
    return centred_crop_sample(sample, window, size=size, antialias=antialias, smallest=smallest)


def _overlapping(sample: Sample, windows: Int[Array, "k 4"], least: Float[Array, ""]) -> Bool[Array, " k"]:
    """Which windows hold the centre of a valid box with which their IoU is at least so much."""
    if "boxes" not in sample:
        return jnp.zeros(len(windows), bool)
    boxes = jnp.asarray(sample["boxes"])
    corners = jnp.concatenate([windows[:, 1::-1], windows[:, 1::-1] + windows[:, :1:-1]], axis=1)
    enough = pairwise_iou(corners.astype(jnp.float32), boxes.astype(jnp.float32)) >= least
    return jnp.any(enough & _centred(boxes, windows) & boxes_there(sample)[None], axis=1)


def _centred(boxes: Float[Array, "m 4"], windows: Int[Array, "k 4"]) -> Bool[Array, "k m"]:
    """Whether the centre of each box lies in each window, its lower and right border left out."""
    boxes = jnp.asarray(boxes).astype(jnp.float32)
    x, y = ((boxes[:, k] + boxes[:, k + 2])[None] / 2 for k in (0, 1))
    top, left, height, width = (windows[:, k, None].astype(jnp.float32) for k in range(4))
    return (x >= left) & (x < left + width) & (y >= top) & (y < top + height)
