"""Affine maps of the plane as matrices `[2, 3]`, in pixels.

A point is (x, y), x to the right and y down, and the centre of the first pixel is (0.5, 0.5), as for boxes. A matrix
`M` sends the point p of the image to `M[:, :2] p + M[:, 2]` of the result. Maps are float32 or float64: bfloat16
holds no odd pixel number above 256.
"""

import jax
import jax.numpy as jnp

from fjdl.augment.pixels import Amount, ascending
from fjdl.checks import within
from fjdl.numerics import widened
from fjdl.typing import Array, Float, PRNGKey, typed

Matrix = Float[Array, "2 3"]


@typed
def rotation(degrees: Amount, *, size: tuple[int, int]) -> Matrix:
    """Rotation about the centre of an image of `size` = (height, width), counter-clockwise as seen on the screen.

    Multiples of 90° are exact.
    """
    degrees = widened(jnp.asarray(degrees))
    quarters = jnp.round(degrees / 90)
    radians = (degrees - 90 * quarters) * (jnp.pi / 180)
    cosine, sine, turn = jnp.cos(radians), jnp.sin(radians), jnp.mod(quarters, 4)
    c = jnp.where(turn == 0, cosine, jnp.where(turn == 1, -sine, jnp.where(turn == 2, -cosine, sine)))
    s = jnp.where(turn == 0, sine, jnp.where(turn == 1, cosine, jnp.where(turn == 2, -sine, -cosine)))
    return _about_centre([[c, s], [-s, c]], size)


@typed
def translation(offset: Float[Array, "2"]) -> Matrix:
    """Translation by `offset` = (down, right) pixels, the order of `shift`."""
    offset = widened(offset)
    return _matrix([[1.0, 0.0], [0.0, 1.0]], (offset[1], offset[0]))


@typed
def shearing(slopes: Float[Array, "2"], *, size: tuple[int, int]) -> Matrix:
    """Shear that fixes the centre: `slopes[0]` pixels down for each to the right, `slopes[1]` right for each down."""
    slopes = widened(slopes)
    return _about_centre([[1.0, slopes[1]], [slopes[0], 1.0]], size)


@typed
def scaling(factors: Float[Array, "2"], *, size: tuple[int, int]) -> Matrix:
    """Enlargement by `factors` = (vertical, horizontal) that fixes the centre; -1 mirrors."""
    factors = widened(factors)
    return _about_centre([[factors[1], 0.0], [0.0, factors[0]]], size)


@typed
def compose(second: Matrix, first: Matrix) -> Matrix:
    """The map `p ↦ second(first(p))`."""
    second, first = widened(second), widened(first)
    a, b, shift = second[:, :1], second[:, 1:2], second[:, 2:]
    linear = a * first[:1, :2] + b * first[1:, :2]
    return jnp.concatenate([linear, a * first[:1, 2:] + b * first[1:, 2:] + shift], axis=1)


@typed
def inverse(matrix: Matrix) -> Matrix:
    """The map that undoes `matrix`; for a singular one, without an inverse, every point goes to infinity.

    Infinity stands in the last column, so an image sampled there is all fill, and no gradient is NaN.
    """
    matrix = widened(matrix)
    a, b, c, d = matrix[0, 0], matrix[0, 1], matrix[1, 0], matrix[1, 1]
    determinant = a * d - b * c
    singular = determinant == 0
    scale = 1 / jnp.where(singular, 1, determinant)
    linear = jnp.stack([jnp.stack([d, -b]), jnp.stack([-c, a])]) * scale
    offset = -(linear[:, :1] * matrix[0, 2] + linear[:, 1:] * matrix[1, 2])
    undone = jnp.concatenate([linear, offset], axis=1)
    nowhere = jnp.array([[0, 0, jnp.inf]] * 2, matrix.dtype)
    return jnp.where(singular, nowhere, undone)


@typed
def random_matrix(
    key: PRNGKey,
    *,
    size: tuple[int, int],
    degrees: float = 0.0,
    translate: float = 0.0,
    shear: float = 0.0,
    scale: tuple[float, float] = (1.0, 1.0),
) -> Matrix:
    """Scaling, then shear, rotation and translation, each drawn uniformly, as one map of an image of `size`.

    The angle lies in `[-degrees, degrees]`, both offsets in `[-translate, translate]` pixels, both slopes in
    `[-shear, shear]`, and the one factor for both axes between the two of `scale`. torchvision has shears in degrees,
    of which 15 are a slope of 0.27, and offsets as shares of the image. Raises `ValueError` for a negative bound and
    for factors that do not ascend above 0.
    """
    within("[0, inf]", degrees=degrees, translate=translate, shear=shear)
    ascending("scale", scale)
    drawn = jax.random.uniform(key, (6,), jnp.float32, -1, 1)
    factor = scale[0] + (scale[1] - scale[0]) * (drawn[5:] + 1) / 2
    matrix = scaling(jnp.broadcast_to(factor, (2,)), size=size)
    matrix = compose(shearing(shear * drawn[3:5], size=size), matrix)
    matrix = compose(rotation(degrees * drawn[0], size=size), matrix)
    return compose(translation(translate * drawn[1:3]), matrix)


def _matrix(linear: list[list[Array | float]], offset: tuple[Array | float, Array | float]) -> Matrix:
    rows = [[*row, shift] for row, shift in zip(linear, offset, strict=True)]
    dtype = jnp.result_type(*[x for row in rows for x in row])
    return jnp.stack([jnp.stack([jnp.asarray(x, dtype) for x in row]) for row in rows])


def _about_centre(linear: list[list[Array | float]], size: tuple[int, int]) -> Matrix:
    y, x = size[0] / 2, size[1] / 2
    (a, b), (c, d) = linear
    return _matrix(linear, (x - (a * x + b * y), y - (c * x + d * y)))
