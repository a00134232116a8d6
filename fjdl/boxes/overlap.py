"""How much boxes in corner format overlap, in float32: pair by pair in order, or every pair of two lists.

A box with `x1 < x0` or `y1 < y0` is inverted. It is empty, as is one of which a side is 0: its area and every
intersection with it are 0. No gradient is NaN for any finite boxes; a side beyond 1e19 overflows its area.
"""

import jax
import jax.numpy as jnp

from fjdl.fused import fused
from fjdl.numerics import safe_divide, widened
from fjdl.typing import Array, Float, Num, typed

Corners = tuple[Array, Array, Array, Array]


@typed
def area(boxes: Num[Array, "*batch 4"]) -> Float[Array, "*batch"]:
    """Areas of boxes, `(x1 - x0) · (y1 - y0)`, and 0 with zero gradient for an empty or inverted box.

    Equals `torchvision.ops.box_area`, except that the area of an inverted box is never negative.

    >>> area(jnp.array([[0.0, 0.0, 2.0, 2.0]]))
    Array([4.], dtype=float32)
    """
    return _area(_corners(boxes))


@typed
@fused
def intersection(a: Num[Array, "*batch 4"], b: Num[Array, "*batch 4"]) -> Float[Array, "*batch"]:
    """Areas that the boxes `a` and `b` share, 0 with zero gradient where they are disjoint or only touch.

    >>> intersection(jnp.array([[0.0, 0.0, 2.0, 2.0]]), jnp.array([[0.0, 0.0, 2.0, 1.0]]))
    Array([2.], dtype=float32)
    """
    return _intersection(_corners(a), _corners(b))


@typed
@fused
def iou(a: Num[Array, "*batch 4"], b: Num[Array, "*batch 4"]) -> Float[Array, "*batch"]:
    """Intersection over union of boxes in order, in [0, 1]: `|a ∩ b| / |a ∪ b|`.

    0 with zero gradient for disjoint boxes, and for two empty ones. Jaccard 1901.
    Equals the diagonal of `torchvision.ops.box_iou(a, b)`, and `pycocotools.mask.iou` on boxes in its format.

    >>> iou(jnp.array([[0.0, 0.0, 2.0, 2.0]]), jnp.array([[0.0, 0.0, 2.0, 1.0]]))
    Array([0.5], dtype=float32)
    """
    return _iou(_corners(a), _corners(b))


@typed
@fused
def giou(a: Num[Array, "*batch 4"], b: Num[Array, "*batch 4"]) -> Float[Array, "*batch"]:
    """Generalized IoU of boxes in order, in [-1, 1]: `IoU - (|hull| - |a ∪ b|) / |hull|`.

    The hull is the smallest box around all corners of both; where it has no area the value is the IoU, 0. Disjoint
    boxes keep a gradient that draws them together. Rezatofighi et al. 2019, arXiv:1902.09630.
    Equals the diagonal of `torchvision.ops.generalized_box_iou(a, b)` for boxes that are not inverted.

    >>> giou(jnp.array([[0.0, 0.0, 2.0, 2.0]]), jnp.array([[0.0, 0.0, 2.0, 1.0]]))
    Array([0.5], dtype=float32)
    """
    return _giou(_corners(a), _corners(b))


@typed
@fused
def diou(a: Num[Array, "*batch 4"], b: Num[Array, "*batch 4"]) -> Float[Array, "*batch"]:
    """Distance IoU of boxes in order, in [-1, 1]: `IoU - |center(a) - center(b)|² / diagonal(hull)²`.

    The hull is the smallest box around all corners of both; where it is a point the value is the IoU, 0.
    Zheng et al. 2020, arXiv:1911.08287. Equals the diagonal of `torchvision.ops.distance_box_iou(a, b)` for boxes that
    are not inverted.

    >>> diou(jnp.array([[0.0, 0.0, 2.0, 2.0]]), jnp.array([[0.0, 0.0, 2.0, 1.0]]))
    Array([0.46875], dtype=float32)
    """
    return _diou(_corners(a), _corners(b))


@typed
@fused
def ciou(a: Num[Array, "*batch 4"], b: Num[Array, "*batch 4"]) -> Float[Array, "*batch"]:
    """Complete IoU of boxes in order, in [-1.5, 1]: `DIoU - α v` with `v = 4/π² (atan(w_b/h_b) - atan(w_a/h_a))²`.

    `α = v / (1 - IoU + v)` is a constant in the gradient, as in the paper, so the gradient is not that of the value.
    The angle of a box without height is π/2, that of a point 0; at equal boxes α is 0.
    Zheng et al. 2020, arXiv:1911.08287, §4. Equals the diagonal of `torchvision.ops.complete_box_iou(a, b)` for boxes
    with area, in value and gradient.
    """
    return _ciou(_corners(a), _corners(b))


@typed
@fused
def pairwise_iou(a: Num[Array, "n 4"], b: Num[Array, "m 4"]) -> Float[Array, "n m"]:
    """Intersection over union of each box of `a` with each of `b`; equals `torchvision.ops.box_iou`. See `iou`.

    >>> pairwise_iou(jnp.array([[0.0, 0.0, 2.0, 2.0]]), jnp.array([[0.0, 0.0, 2.0, 1.0]]))
    Array([[0.5]], dtype=float32)
    """
    return _iou(*_each_with_each(a, b))


@typed
@fused
def pairwise_giou(a: Num[Array, "n 4"], b: Num[Array, "m 4"]) -> Float[Array, "n m"]:
    """Generalized IoU of each box of `a` with each of `b`; equals `torchvision.ops.generalized_box_iou`. See `giou`.

    >>> pairwise_giou(jnp.array([[0.0, 0.0, 2.0, 2.0]]), jnp.array([[0.0, 0.0, 2.0, 1.0]]))
    Array([[0.5]], dtype=float32)
    """
    return _giou(*_each_with_each(a, b))


@typed
@fused
def pairwise_diou(a: Num[Array, "n 4"], b: Num[Array, "m 4"]) -> Float[Array, "n m"]:
    """Distance IoU of each box of `a` with each of `b`; equals `torchvision.ops.distance_box_iou`. See `diou`."""
    return _diou(*_each_with_each(a, b))


@typed
@fused
def pairwise_ciou(a: Num[Array, "n 4"], b: Num[Array, "m 4"]) -> Float[Array, "n m"]:
    """Complete IoU of each box of `a` with each of `b`; equals `torchvision.ops.complete_box_iou`. See `ciou`."""
    return _ciou(*_each_with_each(a, b))


def _each_with_each(a: Num[Array, "n 4"], b: Num[Array, "m 4"]) -> tuple[Corners, Corners]:
    return _corners(a[:, None]), _corners(b[None])


def _corners(boxes: Num[Array, "*batch 4"]) -> Corners:
    x0, y0, x1, y1 = jnp.unstack(widened(boxes), axis=-1)
    return x0, y0, x1, y1


def _iou(a: Corners, b: Corners) -> Array:
    shared = _intersection(a, b)
    return safe_divide(shared, _area(a) + _area(b) - shared)


def _giou(a: Corners, b: Corners) -> Array:
    shared, hull = _intersection(a, b), _area(_hull(a, b))
    union = _area(a) + _area(b) - shared
    return safe_divide(shared, union) - safe_divide(hull - union, hull)


def _diou(a: Corners, b: Corners) -> Array:
    return _iou(a, b) - safe_divide(_squared_distance(a, b), _squared_diagonal(_hull(a, b)))


def _ciou(a: Corners, b: Corners) -> Array:
    v = 4 / jnp.pi**2 * jnp.square(_angle(b) - _angle(a))
    alpha = jax.lax.stop_gradient(safe_divide(v, _positive(1 - _iou(a, b)) + v))
    return _diou(a, b) - alpha * v


def _positive(x: Array) -> Array:
    return jnp.where(x <= 0, 0, x)


def _sides(box: Corners) -> tuple[Array, Array]:
    x0, y0, x1, y1 = box
    return _positive(x1 - x0), _positive(y1 - y0)


def _area(box: Corners) -> Array:
    width, height = _sides(box)
    return width * height


def _intersection(a: Corners, b: Corners) -> Array:
    return _area((jnp.maximum(a[0], b[0]), jnp.maximum(a[1], b[1]), jnp.minimum(a[2], b[2]), jnp.minimum(a[3], b[3])))


def _hull(a: Corners, b: Corners) -> Corners:
    """The smallest box around all corners, also those of inverted boxes."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = _upright(a), _upright(b)
    return jnp.minimum(ax0, bx0), jnp.minimum(ay0, by0), jnp.maximum(ax1, bx1), jnp.maximum(ay1, by1)


def _upright(box: Corners) -> Corners:
    x0, y0, x1, y1 = box
    return (
        jnp.where(x1 < x0, x1, x0),
        jnp.where(y1 < y0, y1, y0),
        jnp.where(x1 < x0, x0, x1),
        jnp.where(y1 < y0, y0, y1),
    )


def _squared_distance(a: Corners, b: Corners) -> Array:
    """Squared distance of the centres."""
    across = (a[0] - b[0]) + (a[2] - b[2])
    down = (a[1] - b[1]) + (a[3] - b[3])
    return (jnp.square(across) + jnp.square(down)) / 4


def _squared_diagonal(box: Corners) -> Array:
    width, height = _sides(box)
    return jnp.square(width) + jnp.square(height)


def _angle(box: Corners) -> Array:
    """`atan(width / height)`, of sides divided by the larger one so that no square vanishes; 0 of a point."""
    width, height = _sides(box)
    larger = jax.lax.stop_gradient(jnp.maximum(width, height))
    point = larger == 0
    larger = jnp.where(point, 1, larger)
    return jnp.where(point, 0, jnp.arctan2(width / larger, jnp.where(point, 1, height / larger)))
