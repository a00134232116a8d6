"""Images seen through an affine map, by inverse mapping; images have any dtype and keep it."""

import jax.numpy as jnp

from fjdl.augment.pixels import Amount, filled, pixels
from fjdl.augment.plane import Matrix, inverse, random_matrix, rotation, scaling, shearing, translation
from fjdl.numerics import wide, widened
from fjdl.typing import Array, Float, Int, PRNGKey, Shaped, typed


@typed
def affine(
    image: Shaped[Array, "h w c"], matrix: Matrix, *, fill: float = 0.0, nearest: bool = False
) -> Shaped[Array, "h w c"]:
    """The image moved by `matrix` [2, 3]: what is at the point p comes to the point `matrix[:, :2] p + matrix[:, 2]`.

    A point is (x, y) in pixels, x to the right and y down from the corner of the image, so that the centre of the pixel
    in row i and column j is (j + 0.5, i + 0.5); `[[1, 0, 2], [0, 1, 3]]` moves the image 2 to the right and 3 down.
    Each pixel of the result samples the point that it comes from: bilinear between the centres of the four pixels
    around that point, of which those outside are `fill`, or the pixel that holds the point for `nearest`, as masks of
    classes need it. Integers are rounded. The identity gives the image bit for bit, a singular matrix only `fill`.

    SciPy's matrix leads back, from (row, column) to (row, column), with the centre of the first pixel at (0, 0):

        back = np.linalg.inv(matrix[:, :2])[::-1, ::-1]
        offset = back @ (0.5 - matrix[::-1, 2]) - 0.5
        scipy.ndimage.affine_transform(channel, back, offset, order=1, mode="grid-constant", cval=fill)

    is the result for each channel, with `order=0` for `nearest`. Raises `ValueError` for booleans unless `nearest`, and
    for a fill that the image cannot hold.
    """
    x, y = _origins(matrix.astype(wide(image.dtype)), (image.shape[0], image.shape[1]))
    return at_points(image, x, y, fill=fill, nearest=nearest)


@typed
def at_points(
    image: Shaped[Array, "h w c"],
    x: Float[Array, "rows columns"],
    y: Float[Array, "rows columns"],
    *,
    fill: float = 0.0,
    nearest: bool = False,
) -> Shaped[Array, "rows columns c"]:
    """The image at the points (x, y), sampled as `affine` does; far outside it is `fill`."""
    if image.dtype == jnp.bool_ and not nearest:
        raise ValueError("bilinear sampling needs numbers, got bool; nearest=True keeps it")
    value = filled(image, fill=fill)
    h, w, _ = image.shape
    x, y = jnp.clip(x, -2, w + 2), jnp.clip(y, -2, h + 2)
    if nearest:
        return _at(_ring(image, value), jnp.floor(y), jnp.floor(x))
    return pixels(_bilinear(_ring(widened(image), widened(value)), y - 0.5, x - 0.5), image)


@typed
def rotate(
    image: Shaped[Array, "h w c"], degrees: Amount, *, fill: float = 0.0, nearest: bool = False
) -> Shaped[Array, "h w c"]:
    """`affine` by `rotation`: counter-clockwise by `degrees` about the centre; what leaves the image is cut off.

    Equals `scipy.ndimage.rotate(reshape=False, mode="grid-constant")` of order 1 or 0, and `numpy.rot90` of a square.
    """
    return affine(image, rotation(degrees, size=_size(image)), fill=fill, nearest=nearest)


@typed
def translate(
    image: Shaped[Array, "h w c"], offset: Float[Array, "2"], *, fill: float = 0.0, nearest: bool = False
) -> Shaped[Array, "h w c"]:
    """`affine` by `translation`: down and right by `offset` pixels and their fractions; `shift` moves whole ones."""
    return affine(image, translation(offset), fill=fill, nearest=nearest)


@typed
def shear(
    image: Shaped[Array, "h w c"], slopes: Float[Array, "2"], *, fill: float = 0.0, nearest: bool = False
) -> Shaped[Array, "h w c"]:
    """`affine` by `shearing`: columns slide down by `slopes[0]` and rows to the right by `slopes[1]` for each pixel."""
    return affine(image, shearing(slopes, size=_size(image)), fill=fill, nearest=nearest)


@typed
def scale(
    image: Shaped[Array, "h w c"], factors: Float[Array, "2"], *, fill: float = 0.0, nearest: bool = False
) -> Shaped[Array, "h w c"]:
    """`affine` by `scaling`: larger by `factors` = (vertical, horizontal) about the centre, within the same frame."""
    return affine(image, scaling(factors, size=_size(image)), fill=fill, nearest=nearest)


@typed
def random_affine(
    key: PRNGKey,
    image: Shaped[Array, "h w c"],
    *,
    degrees: float = 0.0,
    translate: float = 0.0,
    shear: float = 0.0,
    scale: tuple[float, float] = (1.0, 1.0),
    fill: float = 0.0,
    nearest: bool = False,
) -> Shaped[Array, "h w c"]:
    """`affine` by `random_matrix`, so that the image is sampled once, however many of the four move it."""
    matrix = random_matrix(key, size=_size(image), degrees=degrees, translate=translate, shear=shear, scale=scale)
    return affine(image, matrix, fill=fill, nearest=nearest)


@typed
def random_rotate(
    key: PRNGKey, image: Shaped[Array, "h w c"], *, degrees: float, fill: float = 0.0, nearest: bool = False
) -> Shaped[Array, "h w c"]:
    """`rotate` by an angle uniform on `[-degrees, degrees]`; raises `ValueError` for a negative one."""
    return random_affine(key, image, degrees=degrees, fill=fill, nearest=nearest)


def _size(image: Shaped[Array, "h w c"]) -> tuple[int, int]:
    return image.shape[0], image.shape[1]


def _origins(matrix: Matrix, size: tuple[int, int]) -> tuple[Float[Array, "h w"], Float[Array, "h w"]]:
    """The point (x, y) that the centre of each pixel comes from."""
    h, w = size
    back = inverse(matrix)
    x = (jnp.arange(w).astype(back.dtype) + 0.5)[None, :]
    y = (jnp.arange(h).astype(back.dtype) + 0.5)[:, None]
    from_x, from_y = (row[0] * x + row[1] * y + row[2] for row in back)
    return from_x, from_y


def _ring(image: Shaped[Array, "h w c"], fill: Shaped[Array, ""]) -> Shaped[Array, "_ _ c"]:
    return jnp.pad(image, ((1, 1), (1, 1), (0, 0)), constant_values=fill)


def _at(ring: Shaped[Array, "_ _ c"], row: Float[Array, "h w"], column: Float[Array, "h w"]) -> Shaped[Array, "h w c"]:
    """The pixel at a whole row and column of the image inside the ring, and of the ring anywhere outside."""
    height, width, channels = ring.shape
    y = jnp.clip(row + 1, 0, height - 1).astype(jnp.int32)
    x = jnp.clip(column + 1, 0, width - 1).astype(jnp.int32)
    flat: Int[Array, "h w"] = y * width + x
    return ring.reshape(-1, channels).at[flat].get(mode="promise_in_bounds")


def _bilinear(ring: Array, row: Float[Array, "h w"], column: Float[Array, "h w"]) -> Array:
    top, left = jnp.floor(row), jnp.floor(column)
    down, right = (row - top)[..., None], (column - left)[..., None]
    upper = (1 - right) * _at(ring, top, left) + right * _at(ring, top, left + 1)
    lower = (1 - right) * _at(ring, top + 1, left) + right * _at(ring, top + 1, left + 1)
    return (1 - down) * upper + down * lower
