"""Windows of images as rows of a matrix (im2col), and the sum of such rows as an image (col2im)."""

import jax.numpy as jnp

from fjdl.functional.windows import taps
from fjdl.geometry import Axis, Padding, Pair, slide
from fjdl.meshes import adjoint
from fjdl.numerics import widened
from fjdl.typing import Array, Float, typed


@typed
def im2col(
    x: Float[Array, "*batch h w c"],
    *,
    window: Pair,
    stride: Pair = 1,
    padding: Padding = "VALID",
    dilation: Pair = 1,
) -> Float[Array, "*batch h_out w_out taps"]:
    """The pixels of each window side by side: `columns[..., p, q, (i kw + j) c + k] = x[..., p s + i d, q s + j d, k]`.

    The last axis runs through the rows of the window, its columns and the channels, in this order, as
    `kernel.reshape(-1, c_out)` does, so that a product with that matrix is `conv2d` (Chellapilla et al. 2006). Padding
    holds zeros. `torch.nn.functional.unfold` gives the same numbers with channels before rows and columns, and with
    windows last. The gradient is `col2im`, summed in float32. Raises `ValueError` as `conv2d` does.

    >>> im2col(jnp.arange(4.0).reshape(2, 2, 1), window=2)
    Array([[[0., 1., 2., 3.]]], dtype=float32)
    """
    rows, across = slide(x.shape[-3:-1], window=window, stride=stride, padding=padding, dilation=dilation)
    return _columns(x, rows, across)


@typed
def col2im(
    columns: Float[Array, "*batch h_out w_out taps"],
    *,
    size: tuple[int, int],
    window: Pair,
    stride: Pair = 1,
    padding: Padding = "VALID",
    dilation: Pair = 1,
) -> Float[Array, "*batch h w c"]:
    """The adjoint of `im2col`: every pixel of an image of `size` is the sum of all places that it was copied to.

    Pixels that no window covers are 0; sums are taken in float32. It inverts `im2col` where windows tile the image;
    elsewhere `col2im(im2col(x))` is x times the number of windows over each pixel. `torch.nn.functional.fold` equals it
    with channels before rows and columns, and with windows last. Raises `ValueError` for columns of another shape than
    `im2col` gives, and as `conv2d` does.
    """
    rows, across = slide(size, window=window, stride=stride, padding=padding, dilation=dilation)
    *batch, high, broad, entries = columns.shape
    pixels = rows.window * across.window
    if (high, broad) != (rows.output, across.output) or entries % pixels:
        raise ValueError(
            f"columns must be [..., {rows.output}, {across.output}, {pixels} c], got shape {columns.shape}"
        )
    shape = (*batch, *size, entries // pixels)
    return adjoint(lambda x: _columns(x, rows, across), jnp.asarray(columns), shape=shape, dtype=columns.dtype)


def _columns(x: Array, rows: Axis, across: Axis) -> Array:
    """Copies in float32, so that its transpose sums in float32."""
    padded = jnp.pad(widened(x), [*[(0, 0)] * (x.ndim - 3), rows.padding, across.padding, (0, 0)])
    pieces = [tap for strip in taps(padded, rows) for tap in taps(strip, across)]
    return jnp.concatenate(pieces, axis=-1).astype(x.dtype)
