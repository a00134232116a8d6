"""Boxes that move with their image: corners `[x0, y0, x1, y1]` in pixels, where pixel (0, 0) covers [0, 1] × [0, 1]."""

import jax.numpy as jnp

from fjdl.augment.plane import Matrix
from fjdl.boxes.convert import mask_boxes
from fjdl.numerics import wide
from fjdl.typing import Array, Float, typed


@typed
def move_boxes(boxes: Float[Array, "*n 4"], matrix: Matrix) -> Float[Array, "*n 4"]:
    """The smallest boxes around what `matrix` makes of the boxes, computed in float32 at least."""
    first = _extremes(boxes, matrix[0])
    second = _extremes(boxes, matrix[1])
    return jnp.stack([first[0], second[0], first[1], second[1]], axis=-1).astype(boxes.dtype)


@typed
def seen_boxes(boxes: Float[Array, "m 4"], x: Float[Array, "h w"], y: Float[Array, "h w"]) -> Float[Array, "m 4"]:
    """The smallest boxes around the pixels that sample a point (x, y) inside of each box; 0 where there is none.

    Inside is from the left and upper side on to before the right and lower one.
    """
    left, top, right, bottom = (boxes[:, i, None, None] for i in range(4))
    inside = (x[None] >= left) & (x[None] < right) & (y[None] >= top) & (y[None] < bottom)
    return mask_boxes(inside).astype(boxes.dtype)


def _extremes(boxes: Float[Array, "*n 4"], row: Float[Array, "3"]) -> tuple[Array, Array]:
    """Least and largest `a x + b y + t` over the corners of each box."""
    dtype = max(wide(row.dtype), wide(boxes.dtype), key=lambda dtype: dtype.itemsize)
    row, corners = row.astype(dtype), boxes.astype(dtype)
    along_x, along_y = row[0] * corners[..., 0::2], row[1] * corners[..., 1::2]
    least = jnp.min(along_x, axis=-1) + jnp.min(along_y, axis=-1) + row[2]
    return least, jnp.max(along_x, axis=-1) + jnp.max(along_y, axis=-1) + row[2]
