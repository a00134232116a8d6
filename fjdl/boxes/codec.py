"""Boxes as what networks learn: how an anchor, or a cell of a grid, is moved and scaled. All numbers are float32.

A side below 1e-6, a negative one among them, counts as 1e-6, so that every code of finite boxes is finite.
"""

import math

import jax
import jax.numpy as jnp

from fjdl.checks import within
from fjdl.fused import fused
from fjdl.numerics import widened
from fjdl.typing import Array, Float, Int, Integer, typed

LEAST_SIDE = 1e-6
LARGEST_LOG = math.log(1000 / 16)  # a side grows to 62.5 times that of its anchor at most

Weights = tuple[float, float, float, float]


@typed
@fused
def encode(
    boxes: Float[Array, "*batch 4"], anchors: Float[Array, "*batch 4"], *, weights: Weights = (1.0, 1.0, 1.0, 1.0)
) -> Float[Array, "*batch 4"]:
    """Moves and scales from anchors to boxes: `w ((x - x_a) / w_a, (y - y_a) / h_a, ln(w / w_a), ln(h / h_a))`.

    Both are corners; x and y are centres. Girshick et al. 2014 (R-CNN), arXiv:1311.2524, appendix C. Equals
    torchvision's `BoxCoder.encode` for boxes with area. Fast R-CNN's second stage has the weights (10, 10, 5, 5), which
    are the variances (0.1, 0.1, 0.2, 0.2) of SSD, by which codes are divided there.
    Raises `ValueError` unless the weights are positive and finite.

    >>> encode(jnp.array([2.0, 0.0, 4.0, 4.0]), jnp.array([0.0, 0.0, 4.0, 4.0]))
    Array([ 0.25  ,  0.    , -0.6931...,  0.    ], dtype=float32)
    """
    within("(0, inf)", weights=weights)
    (center, side), (origin, extent) = map(_center_and_side, (boxes, anchors))
    code = jnp.concatenate([(center - origin) / extent, jnp.log(side) - jnp.log(extent)], axis=-1)
    return code * _row(weights, code)


@typed
@fused
def decode(
    codes: Float[Array, "*batch 4"],
    anchors: Float[Array, "*batch 4"],
    *,
    weights: Weights = (1.0, 1.0, 1.0, 1.0),
    largest_log: float = LARGEST_LOG,
) -> Float[Array, "*batch 4"]:
    """The corners that codes make of anchors, the inverse of `encode` with the same weights.

    A logarithm above `largest_log` counts as that, with zero gradient, so that no side overflows; a code made by
    `encode` comes back where the box is less than 62.5 times as wide and high as its anchor. Equals torchvision's
    `BoxCoder.decode`. Raises `ValueError` unless the weights are positive and finite.

    >>> anchor, box = jnp.array([0.0, 0.0, 4.0, 4.0]), jnp.array([1.0, 0.0, 4.0, 8.0])
    >>> decode(encode(box, anchor), anchor)
    Array([1., 0., 4., 8.], dtype=float32)
    """
    within("(0, inf)", weights=weights)
    within("(0, inf]", largest_log=largest_log)
    code = widened(codes)
    code = code / _row(weights, code)
    origin, extent = _center_and_side(anchors)
    center = code[..., :2] * extent + origin
    logs = jnp.where(code[..., 2:] > largest_log, largest_log, code[..., 2:])
    return _corners(center, jnp.exp(logs) * extent)


@typed
def grid_cells(boxes: Float[Array, "*batch 4"], *, size: tuple[int, int], stride: float) -> Int[Array, "*batch 2"]:
    """Row and column of the cell of a grid of `size` = (rows, columns) in which the centre of each box lies.

    `stride` is the side of a cell in pixels. A centre outside of the grid counts to the cell at the border.

    >>> grid_cells(jnp.array([[0.0, 0.0, 2.0, 2.0], [10.0, 0.0, 14.0, 4.0]]), size=(2, 2), stride=8.0)
    Array([[0, 0],
           [0, 1]], dtype=int32)
    """
    within("(0, inf)", stride=stride)
    center, _ = _center_and_side(boxes)
    limit = _row((size[1] - 1, size[0] - 1), center)
    place = jax.lax.stop_gradient(jnp.floor(center / stride))
    place = jnp.where(place > 0, jnp.minimum(place, limit), 0)  # NaN counts to the first cell
    return jnp.flip(place, axis=-1).astype(jnp.int32)


@typed
@fused
def encode_in_cell(
    boxes: Float[Array, "*batch 4"], cells: Integer[Array, "*batch 2"], *, stride: float, image: tuple[float, float]
) -> Float[Array, "*batch 4"]:
    """The code of YOLO v1: `(x / stride - column, y / stride - row, √(w / width), √(h / height))`.

    x and y are the centre, which lies in [0, 1] of its own cell; `image` = (height, width) in pixels.
    Redmon et al. 2016, arXiv:1506.02640, §2.2, whose network predicts the roots.

    >>> encode_in_cell(jnp.array([0.0, 0.0, 4.0, 16.0]), jnp.array([1, 0]), stride=8.0, image=(16, 16))
    Array([0.25, 0.  , 0.5 , 1.  ], dtype=float32)
    """
    center, side = _center_and_side(boxes)
    return jnp.concatenate([_within(center, cells, stride), jnp.sqrt(side / _width_height(image, side))], axis=-1)


@typed
@fused
def decode_in_cell(
    codes: Float[Array, "*batch 4"], cells: Integer[Array, "*batch 2"], *, stride: float, image: tuple[float, float]
) -> Float[Array, "*batch 4"]:
    """The corners of a code of YOLO v1, the inverse of `encode_in_cell`; a negative root is squared as it is."""
    code = widened(codes)
    side = jnp.square(code[..., 2:])
    return _corners(_placed(code[..., :2], cells, stride), side * _width_height(image, side))


@typed
@fused
def encode_in_cell_by_shape(
    boxes: Float[Array, "*batch 4"],
    cells: Integer[Array, "*batch 2"],
    shapes: Float[Array, "*batch 2"],
    *,
    stride: float,
    margin: float = 1e-4,
) -> Float[Array, "*batch 4"]:
    """The code of YOLO v2 and v3: `(logit(x / stride - column), logit(y / stride - row), ln(w / p_w), ln(h / p_h))`.

    `shapes` are the `(width, height)` of anchors. Before the logit a centre is brought into [margin, 1 - margin] of its
    cell, so that the code is finite. Redmon and Farhadi 2017, arXiv:1612.08242, §2.
    Raises `ValueError` for a margin outside of (0, 0.5).
    """
    within("(0, 0.5)", margin=margin)
    center, side = _center_and_side(boxes)
    place = _within(center, cells, stride)
    place = jnp.where(place < margin, margin, jnp.where(place > 1 - margin, 1 - margin, place))
    logs = jnp.log(side) - jnp.log(_at_least_a_side(widened(shapes)))
    return jnp.concatenate([jnp.log(place) - jnp.log1p(-place), logs], axis=-1)


@typed
@fused
def decode_in_cell_by_shape(
    codes: Float[Array, "*batch 4"],
    cells: Integer[Array, "*batch 2"],
    shapes: Float[Array, "*batch 2"],
    *,
    stride: float,
    largest_log: float = LARGEST_LOG,
) -> Float[Array, "*batch 4"]:
    """The corners of a code of YOLO v2 and v3, the inverse of `encode_in_cell_by_shape` up to its margin.

    The centre is `(σ(t) + cell) · stride`, the sides are `shape · exp(t)`; `largest_log` as in `decode`.
    """
    within("(0, inf]", largest_log=largest_log)
    code = widened(codes)
    logs = jnp.where(code[..., 2:] > largest_log, largest_log, code[..., 2:])
    side = jnp.exp(logs) * _at_least_a_side(widened(shapes))
    return _corners(_placed(jax.nn.sigmoid(code[..., :2]), cells, stride), side)


def _center_and_side(boxes: Array) -> tuple[Array, Array]:
    wide = widened(boxes)
    low, high = wide[..., :2], wide[..., 2:]
    return (low + high) / 2, _at_least_a_side(high - low)


def _at_least_a_side(side: Array) -> Array:
    return jnp.where(side < LEAST_SIDE, LEAST_SIDE, side)


def _corners(center: Array, side: Array) -> Array:
    return jnp.concatenate([center - side / 2, center + side / 2], axis=-1)


def _within(center: Array, cells: Array, stride: float) -> Array:
    """Where in its cell a centre lies, as a part of the stride."""
    within("(0, inf)", stride=stride)
    return center / stride - _column_row(cells, center)


def _placed(place: Array, cells: Array, stride: float) -> Array:
    within("(0, inf)", stride=stride)
    return (place + _column_row(cells, place)) * stride


def _width_height(image: tuple[float, float], like: Array) -> Array:
    within("(0, inf)", image=image)
    return _row((image[1], image[0]), like)


def _column_row(cells: Array, like: Array) -> Array:
    return jnp.flip(jnp.asarray(cells), axis=-1).astype(like.dtype)


def _row(numbers: tuple[float, ...], like: Array) -> Array:
    return jnp.broadcast_to(jnp.asarray(numbers, like.dtype), like.shape)
