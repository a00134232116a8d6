"""Convolution of few channels as a product with a band matrix.

The outputs of a tile of the image depend on a slightly larger patch of the input.  The band matrix has a column for
each output of a tile, which holds the kernel at the place of that output, and zeros.  The patches of all tiles, one in
each row, times this matrix give the convolution; both of its gradients are products with the same matrices.  Many
factors are zeros, but on a CPU this is faster than a convolution of so few channels that its vectors stay half empty.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from fjdl.lowering.bilinear import Rules
from fjdl.lowering.conv_everywhere import Options, axes_of
from fjdl.lowering.cpu.matrix import product, product_of_columns
from fjdl.meshes import adjoint
from fjdl.typing import Array

VECTOR = 16  # float32 numbers in the widest register
MOST_ROWS = 4  # of a tile; beyond it the zeros cost more than the fuller vectors save


class Tiling(NamedTuple):
    """How the output is cut into tiles; each pair is (rows, columns)."""

    output: tuple[int, int]
    tile: tuple[int, int]  # outputs
    tiles: tuple[int, int]  # how many; the last column of them may stick out
    advance: tuple[int, int]  # input pixels from one tile to the next
    reach: tuple[int, int]  # input pixels that one tile depends on


def convolve(x: Array, kernel: Array, options: Options) -> Array:
    """[n, h, w, c_in] and [kh, kw, c_in, c_out] to [n, h_out, w_out, c_out], in float32 or wider."""
    tiling = tile(options, kernel.shape[3])
    return _from_tiles(product(_patches(x, options, tiling), _bands(kernel, options, tiling), (3, 0)), tiling)


def input_gradient(y: Array, kernel: Array, options: Options) -> Array:
    """Cotangent of the input from the cotangent `y` of the output."""
    tiling = tile(options, kernel.shape[3])
    patches = product(_to_tiles(y, tiling), _bands(kernel, options, tiling), (3, 1))
    shape = (y.shape[0], *options.size, kernel.shape[2])
    return adjoint(lambda x: _patches(x, options, tiling), patches, shape=shape, dtype=patches.dtype)


def kernel_gradient(x: Array, y: Array, options: Options) -> Array:
    """Cotangent of the kernel from the input and the cotangent `y` of the output."""
    tiling = tile(options, y.shape[3])
    patches, tiles = _patches(x, options, tiling), _to_tiles(y, tiling)
    bands = product_of_columns(patches.reshape(-1, patches.shape[3]), tiles.reshape(-1, tiles.shape[3]))
    shape = (*options.window, x.shape[3], y.shape[3])
    return adjoint(lambda kernel: _bands(kernel, options, tiling), bands, shape=shape, dtype=bands.dtype)


RULES = Rules(out=convolve, lhs=input_gradient, rhs=kernel_gradient)


def tile(options: Options, channels: int) -> Tiling:
    """Tiles about as wide as the kernel that divide the output evenly, and so high that they fill whole vectors."""
    rows, columns = (axis.output for axis in axes_of(options))
    kw = options.window[1]
    width = next((w for w in range(max(kw - 1, 1), 2 * kw + 1) if columns % w == 0), min(kw, columns))
    heights = (h for h in range(1, MOST_ROWS + 1) if rows % h == 0 and h * width * channels % VECTOR == 0)
    size = (next(heights, 1), width)
    advance = (size[0] * options.stride[0], width * options.stride[1])
    return Tiling(
        output=(rows, columns),
        tile=size,
        tiles=(rows // size[0], math.ceil(columns / width)),
        advance=advance,
        reach=(
            advance[0] - options.stride[0] + options.window[0],
            advance[1] - options.stride[1] + options.window[1],
        ),
    )


def _patches(x: Array, options: Options, tiling: Tiling) -> Array:
    """[n, tile rows, tile columns, reach * c_in]: what each tile depends on."""
    n, _, w, c = x.shape
    (rows, columns), (down, across), (high, broad) = tiling.tiles, tiling.advance, tiling.reach
    vertical, (left, right) = options.padding
    right = max(right, (columns - 1) * across + max(broad, across) - w - left)
    x = jnp.pad(x, ((0, 0), vertical, (left, right), (0, 0)))
    x = x.reshape(n, x.shape[1], x.shape[2] * c)
    if broad <= across:
        strips = x[:, :, : columns * across * c].reshape(n, x.shape[1], columns, across * c)[..., : broad * c]
    else:
        strips = jnp.stack([x[:, :, i * across * c : (i * across + broad) * c] for i in range(columns)], axis=2)
    return jnp.concatenate([strips[:, i : i + (rows - 1) * down + 1 : down] for i in range(high)], axis=3)


def _to_tiles(y: Array, tiling: Tiling) -> Array:
    """[n, h_out, w_out, c_out] to [n, tile rows, tile columns, tile * c_out], what is missing filled with zeros."""
    n, _, width, c = y.shape
    (rows, columns), (high, broad) = tiling.tiles, tiling.tile
    y = jnp.pad(y, ((0, 0), (0, 0), (0, columns * broad - width), (0, 0)))
    y = y.reshape(n, rows, high, columns, broad * c).swapaxes(2, 3)
    return y.reshape(n, rows, columns, high * broad * c)


def _from_tiles(tiles: Array, tiling: Tiling) -> Array:
    """The inverse of `_to_tiles`."""
    n, rows, columns, entries = tiles.shape
    high, broad = tiling.tile
    y = tiles.reshape(n, rows, columns, high, entries // high).swapaxes(2, 3)
    return y.reshape(n, rows * high, columns * broad, entries // (high * broad))[:, :, : tiling.output[1]]


def _bands(kernel: Array, options: Options, tiling: Tiling) -> Array:
    """[reach * c_in, tile * c_out]: the kernel shifted to each output of a tile."""
    down, across = (
        jnp.asarray(_shifts(*geometry), kernel.dtype)
        for geometry in zip(tiling.reach, tiling.tile, options.window, options.stride, strict=True)
    )
    bands = jnp.einsum("yah,xbw,hwio->yxiabo", down, across, kernel)
    return bands.reshape(math.prod(bands.shape[:3]), math.prod(bands.shape[3:]))


def _shifts(reach: int, tile: int, window: int, stride: int) -> np.ndarray:
    """[reach, tile, window]: 1 where this input pixel meets this tap of this output's window, else 0."""
    output, tap = np.meshgrid(np.arange(tile), np.arange(window), indexing="ij")
    shifts = np.zeros((reach, tile, window))
    shifts[output * stride + tap, output, tap] = 1
    return shifts
