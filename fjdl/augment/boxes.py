"""Boxes that move with their image: corners `[x0, y0, x1, y1]` in pixels, where pixel (0, 0) covers [0, 1] × [0, 1]."""

import jax.numpy as jnp

from fjdl.augment.plane import Matrix
from fjdl.numerics import wide
from fjdl.typing import Array, Bool, Float, Int, typed


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
    across, down = (_first_and_end(jnp.any(inside, axis=axis)) for axis in (1, 2))
    return jnp.stack([across[0], down[0], across[1], down[1]], axis=-1).astype(boxes.dtype)


def _first_and_end(line: Bool[Array, "m n"]) -> tuple[Int[Array, " m"], Int[Array, " m"]]:
    """The first place that holds and the one after the last, both 0 where none does."""
    some, n = jnp.any(line, axis=1), line.shape[1]
    first, end = jnp.argmax(line, axis=1), n - jnp.argmax(line[:, ::-1], axis=1)
    return jnp.where(some, first, 0), jnp.where(some, end, 0)


def _extremes(boxes: Float[Array, "*n 4"], row: Float[Array, "3"]) -> tuple[Array, Array]:
    """Least and largest `a x + b y + t` over the corners of each box."""
    dtype = max(wide(row.dtype), wide(boxes.dtype), key=lambda dtype: dtype.itemsize)
    row, corners = row.astype(dtype), boxes.astype(dtype)
    along_x, along_y = row[0] * corners[..., 0::2], row[1] * corners[..., 1::2]
    least = jnp.min(along_x, axis=-1) + jnp.min(along_y, axis=-1) + row[2]
    return least, jnp.max(along_x, axis=-1) + jnp.max(along_y, axis=-1) + row[2]
