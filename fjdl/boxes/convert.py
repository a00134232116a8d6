"""Formats of boxes, each in the dtype of its input; corners `[x0, y0, x1, y1]` are the one everything else takes."""

import jax.numpy as jnp

from fjdl.checks import within
from fjdl.numerics import widened
from fjdl.typing import Array, Float, typed


@typed
def from_center_size(boxes: Float[Array, "*batch 4"]) -> Float[Array, "*batch 4"]:
    """Corners of boxes `[x, y, width, height]` around their centre: `(x ± width/2, y ± height/2)`.

    A negative size gives an inverted box. Equals `torchvision.ops.box_convert(boxes, "cxcywh", "xyxy")`.

    >>> from_center_size(jnp.array([[2.0, 2.0, 2.0, 4.0]]))
    Array([[1., 0., 3., 4.]], dtype=float32)
    """
    center, half = _halves(boxes)
    return _join(center - half / 2, center + half / 2, like=boxes)


@typed
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


def _halves(boxes: Float[Array, "*batch 4"]) -> tuple[Float[Array, "*batch 2"], Float[Array, "*batch 2"]]:
    """The first two and the last two numbers of each box, in the dtype that sums are kept in."""
    wide = widened(boxes)
    return wide[..., :2], wide[..., 2:]


def _join(
    first: Float[Array, "*batch 2"], last: Float[Array, "*batch 2"], *, like: Float[Array, "*batch 4"]
) -> Float[Array, "*batch 4"]:
    return jnp.concatenate([first, last], axis=-1).astype(like.dtype)
