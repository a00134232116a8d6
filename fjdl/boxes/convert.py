"""Formats of boxes, each in the dtype of its input; corners `[x0, y0, x1, y1]` are the one everything else takes."""

import jax.numpy as jnp

from fjdl.checks import within
from fjdl.fused import fused
from fjdl.numerics import widened
from fjdl.typing import Array, Bool, Float, Int, Integer, typed


@typed
@fused
def from_center_size(boxes: Float[Array, "*batch 4"]) -> Float[Array, "*batch 4"]:
    """Corners of boxes `[x, y, width, height]` around their centre: `(x ± width/2, y ± height/2)`.

    A negative size gives an inverted box. Equals `torchvision.ops.box_convert(boxes, "cxcywh", "xyxy")`.

    >>> from_center_size(jnp.array([[2.0, 2.0, 2.0, 4.0]]))
    Array([[1., 0., 3., 4.]], dtype=float32)
    """
    center, half = _halves(boxes)
    return _join(center - half / 2, center + half / 2, like=boxes)


@typed
@fused
def to_center_size(boxes: Float[Array, "*batch 4"]) -> Float[Array, "*batch 4"]:
    """Boxes as `[x, y, width, height]` around their centre: `((x0 + x1)/2, (y0 + y1)/2, x1 - x0, y1 - y0)`.

    An inverted box has a negative size. Equals `torchvision.ops.box_convert(boxes, "xyxy", "cxcywh")`.

    >>> to_center_size(jnp.array([[1.0, 0.0, 3.0, 4.0]]))
    Array([[2., 2., 2., 4.]], dtype=float32)
    """
    low, high = _halves(boxes)
    return _join((low + high) / 2, high - low, like=boxes)


@typed
def from_corner_size(boxes: Float[Array, "*batch 4"]) -> Float[Array, "*batch 4"]:
    """Corners of boxes `[x0, y0, width, height]`, the format of COCO: `(x0, y0, x0 + width, y0 + height)`.

    Equals `torchvision.ops.box_convert(boxes, "xywh", "xyxy")`.

    >>> from_corner_size(jnp.array([[1.0, 0.0, 2.0, 4.0]]))
    Array([[1., 0., 3., 4.]], dtype=float32)
    """
    low, size = _halves(boxes)
    return _join(low, low + size, like=boxes)


@typed
def to_corner_size(boxes: Float[Array, "*batch 4"]) -> Float[Array, "*batch 4"]:
    """Boxes as `[x0, y0, width, height]`, the format of COCO: `(x0, y0, x1 - x0, y1 - y0)`.

    An inverted box has a negative size. Equals `torchvision.ops.box_convert(boxes, "xyxy", "xywh")`.

    >>> to_corner_size(jnp.array([[1.0, 0.0, 3.0, 4.0]]))
    Array([[1., 0., 2., 4.]], dtype=float32)
    """
    low, high = _halves(boxes)
    return _join(low, high - low, like=boxes)


@typed
def clip_to_image(boxes: Float[Array, "*batch 4"], *, height: float, width: float) -> Float[Array, "*batch 4"]:
    """Boxes cut off at the border of the image: x into `[0, width]`, y into `[0, height]`.

    A box that lies outside of the image becomes one of area 0 on its border. The gradient of a coordinate is 1 within
    the image and on its border, else 0. Equals `torchvision.ops.clip_boxes_to_image(boxes, (height, width))`.

    >>> clip_to_image(jnp.array([[-1.0, 0.0, 3.0, 9.0]]), height=4, width=2)
    Array([[0., 0., 2., 4.]], dtype=float32)
    """
    within("[0, inf]", height=height, width=width)
    limits = jnp.broadcast_to(jnp.asarray([width, height, width, height], boxes.dtype), boxes.shape)
    return jnp.where(boxes < 0, 0, jnp.where(boxes > limits, limits, boxes))


@typed
def large_boxes(boxes: Float[Array, "*batch 4"], *, smallest: float = 1.0) -> Bool[Array, "*batch"]:
    """Which boxes have both sides at least `smallest` pixels long; a box with NaN has not.

    `torchvision.ops.remove_small_boxes` gives the indices of these. Raises `ValueError` unless `smallest` is above 0.

    >>> large_boxes(jnp.array([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 9.0, 0.5]]))
    Array([ True, False], dtype=bool)
    """
    within("(0, inf]", smallest=smallest)
    return jnp.all(boxes[..., 2:] - boxes[..., :2] >= smallest, axis=-1)


@typed
@fused
def mask_boxes(masks: Bool[Array, "*batch h w"] | Integer[Array, "*batch h w"]) -> Float[Array, "*batch 4"]:
    """The smallest boxes around the pixels of masks that are not 0; 0 of a mask without any.

    `torchvision.ops.masks_to_boxes` ends with the last pixel where these boxes end behind it, one more.

    >>> mask_boxes(jnp.array([[False, False, False], [False, True, True]]))
    Array([1., 1., 3., 2.], dtype=float32)
    """
    present = jnp.asarray(masks).astype(bool)
    ends = [_first_and_end(jnp.any(present, axis=axis)) for axis in (-2, -1)]
    return jnp.stack([ends[0][0], ends[1][0], ends[0][1], ends[1][1]], axis=-1).astype(jnp.float32)


def _first_and_end(line: Bool[Array, "*batch n"]) -> tuple[Int[Array, "*batch"], Int[Array, "*batch"]]:
    """The first place that holds and the one behind the last, both 0 where none does."""
    places = jnp.arange(line.shape[-1], dtype=jnp.int32)
    first = jnp.min(jnp.where(line, places, line.shape[-1]), axis=-1, initial=line.shape[-1])
    end = jnp.max(jnp.where(line, places + 1, 0), axis=-1, initial=0)
    return jnp.minimum(first, end), end


def _halves(boxes: Float[Array, "*batch 4"]) -> tuple[Float[Array, "*batch 2"], Float[Array, "*batch 2"]]:
    """The first two and the last two numbers of each box, in the dtype that sums are kept in."""
    wide = widened(boxes)
    return wide[..., :2], wide[..., 2:]


def _join(
    first: Float[Array, "*batch 2"], last: Float[Array, "*batch 2"], *, like: Float[Array, "*batch 4"]
) -> Float[Array, "*batch 4"]:
    return jnp.concatenate([first, last], axis=-1).astype(like.dtype)
