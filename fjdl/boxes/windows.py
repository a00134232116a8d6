"""Sliding windows over images: how many there are, where they lie, and what each cell of a network's output sees."""

import jax.numpy as jnp

from fjdl.geometry import Axis, Pair, certain, pair, slide
from fjdl.typing import Array, Float, Shaped, typed


@typed
def number_of_windows(size: tuple[int, int], *, window: Pair, stride: Pair = 1) -> int:
    """How many windows there are in an image of `size` = (height, width): `(H - h + 1)(W - w + 1)` of stride 1.

    In general it is `(⌊(H - h) / s⌋ + 1)(⌊(W - w) / t⌋ + 1)`. Raises `ValueError` where the window does not fit.

    >>> number_of_windows((5, 6), window=(3, 2))
    15
    """
    rows, columns = slide(size, window=window, stride=stride)
    return rows.output * columns.output


@typed
def window_boxes(size: tuple[int, int], *, window: Pair, stride: Pair = 1) -> Float[Array, "windows 4"]:
    """The windows in an image of `size` = (height, width) as boxes, row by row.

    Raises `ValueError` as `number_of_windows`.

    >>> window_boxes((2, 3), window=2)
    Array([[0., 0., 2., 2.],
           [1., 0., 3., 2.]], dtype=float32)
    """
    rows, columns = slide(size, window=window, stride=stride)
    cells = (rows.output, columns.output)
    return cell_regions(cells=cells, size=window, stride=stride).reshape(cells[0] * cells[1], 4)


@typed
def window_crops(
    x: Shaped[Array, "*batch h w c"], *, window: Pair, stride: Pair = 1
) -> Shaped[Array, "*batch windows h_w w_w c"]:
    """What is seen through each of `window_boxes`, in the same order: as many copies of a pixel as windows cover it.

    A classifier of crops slides over whole images in one pass where its dense layers are made convolutions, see
    `fjdl.functional.dense_to_conv`, and computes once what crops share (Sermanet et al. 2013, OverFeat,
    arXiv:1312.6229). Raises `ValueError` as `number_of_windows`.
    """
    rows, columns = slide(x.shape[-3:-1], window=window, stride=stride)
    cut = _through(_through(jnp.asarray(x), columns, axis=-2), rows, axis=-4)
    cut = jnp.swapaxes(cut, -4, -3)  # from row, pixel of it, column, pixel of it
    return cut.reshape(*cut.shape[:-5], rows.output * columns.output, *cut.shape[-3:])


@typed
def cell_regions(
    *, cells: tuple[int, int], size: Pair, stride: Pair, start: int | tuple[int, int] = 0
) -> Float[Array, "rows columns 4"]:
    """The box that each cell of a network's output, of `cells` = (rows, columns), has seen of its input.

    `size`, `stride` and `start` are the receptive field, alike or down and across, as
    `fjdl.analysis.receptive_field` gives them. A box may reach beyond the image, where padding lies.

    >>> cell_regions(cells=(1, 2), size=5, stride=2, start=-1)
    Array([[[-1., -1.,  4.,  4.],
            [ 1., -1.,  6.,  4.]]], dtype=float32)
    """
    if any(certain(lambda n=n: n < 1) for n in cells):
        raise ValueError(f"cells must have at least one row and column, got {cells}")
    extent, steps = pair("size", size), pair("stride", stride)
    first = start if isinstance(start, tuple) else (start, start)
    y, x = (jnp.arange(n).astype(jnp.float32) * step + low for n, step, low in zip(cells, steps, first, strict=True))
    y, x = jnp.meshgrid(y, x, indexing="ij")
    return jnp.stack([x, y, x + extent[1], y + extent[0]], axis=-1)


def _through(x: Array, along: Axis, *, axis: int) -> Array:
    """The windows along one axis, which becomes two: the windows, and the pixels of each."""
    pixels = [jnp.take(x, along.stride * jnp.arange(along.output) + tap, axis=axis) for tap in range(along.window)]
    return jnp.stack(pixels, axis=axis + x.ndim + 1)
