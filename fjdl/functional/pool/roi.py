"""Regions of feature maps as grids of one size: RoI pooling, RoI align, and RoI align on a pyramid.

Boxes are corners in pixels of the image. Their number k is fixed; one of padding, all 0, gives numbers that nobody
reads. Boxes have no gradient, as in torchvision.
"""

from collections.abc import Sequence
from functools import partial

import jax.numpy as jnp
from jax import lax

from fjdl.boxes.anchors import pyramid_levels
from fjdl.checks import at_least, within
from fjdl.geometry import Pair, pair
from fjdl.lowering import roi
from fjdl.lowering.roi_pool import maxima
from fjdl.numerics import widened
from fjdl.typing import Array, Float, typed


@typed
def roi_align(
    x: Float[Array, "*batch h w c"],
    boxes: Float[Array, "*batch k 4"],
    *,
    size: Pair,
    scale: float = 1.0,
    samples: int = 2,
    aligned: bool = True,
) -> Float[Array, "*batch k rows columns c"]:
    """The means of `samples`² bilinear samples in each of the bins into which `size` = (rows, columns) divides a box.

    `scale` is that from pixels of the image to cells of the map, 1 / stride. `aligned` lets cell (0, 0) cover
    [0, 1] × [0, 1], as boxes have it, half a cell from where it lies without; there a box is one cell wide and high at
    least, too. Samples beyond the map up to one cell are those at its border, further ones are 0, as are those of a box
    with inf or NaN. Sums are float32, the result has the dtype of `x`, and the gradient is that of the samples.

    He et al. 2017 (Mask R-CNN), arXiv:1703.06870, §3. Equals `torchvision.ops.roi_align` with `sampling_ratio=samples`,
    whose `aligned` is False by default. Raises `ValueError` for a `scale` that is not positive.

    >>> x = jnp.arange(16.0).reshape(4, 4, 1)
    >>> roi_align(x, jnp.array([[0.0, 0.0, 4.0, 4.0]]), size=2)[0, :, :, 0]
    Array([[ 2.5,  4.5],
           [10.5, 12.5]], dtype=float32)
    """
    within("(0, inf)", scale=scale)
    at_least(1, samples=samples)
    grid = pair("size", size)
    if boxes.shape[-2] == 0:
        return jnp.zeros((*boxes.shape[:-1], *grid, x.shape[-1]), x.dtype)
    regions = lax.stop_gradient(widened(boxes)) * scale
    low, high = regions[..., :2], regions[..., 2:]
    if aligned:
        low, high = low - 0.5, high - 0.5
    else:
        high = low + jnp.maximum(high - low, 1)
    regions = jnp.concatenate([low, high], axis=-1)
    return roi.averages(jnp.asarray(x), regions, size=grid, samples=samples, extent=x.shape[-3:])


@typed
def pyramid_roi_align(
    levels: Sequence[Float[Array, "*batch _ _ c"]],
    boxes: Float[Array, "*batch k 4"],
    *,
    size: Pair,
    strides: Sequence[float],
    samples: int = 2,
    aligned: bool = True,
    lowest: int = 2,
    canonical_size: float = 224.0,
    canonical_level: int = 4,
) -> Float[Array, "*batch k rows columns c"]:
    """`roi_align` of each box on one level of a pyramid, which its size chooses, see `fjdl.boxes.pyramid_levels`.

    `levels` begin with number `lowest`, of the greatest resolution, and each has a stride. Lin et al. 2017 (FPN),
    arXiv:1612.03144, §4.2; `torchvision.ops.MultiScaleRoIAlign`, which has `aligned=False`. Raises `ValueError` for
    another number of strides than of levels.
    """
    if not len(levels) == len(strides) > 0:
        raise ValueError(f"strides must be as many as levels, got {len(strides)} and {len(levels)}")
    chosen = pyramid_levels(
        boxes,
        lowest=lowest,
        highest=lowest + len(levels) - 1,
        canonical_size=canonical_size,
        canonical_level=canonical_level,
    )
    align = partial(roi_align, size=size, samples=samples, aligned=aligned)
    parts = [
        align(x, jnp.where((chosen == lowest + i)[..., None], boxes, jnp.nan), scale=1 / stride)
        for i, (x, stride) in enumerate(zip(levels, strides, strict=True))
    ]
    return sum(parts[1:], parts[0])


@typed
def roi_pool(
    x: Float[Array, "*batch h w c"], boxes: Float[Array, "*batch k 4"], *, size: Pair, scale: float = 1.0
) -> Float[Array, "*batch k rows columns c"]:
    """The largest entries in each of the bins into which `size` = (rows, columns) divides a box of whole cells.

    Corners times `scale` are rounded, halves away from 0, and the cell of the last corner belongs to the box. Bins
    begin at the floor and end at the ceiling of their borders, so that they may overlap; one without a cell of the map
    is 0. A NaN is passed over where the bin has other numbers.
    The gradient goes to the first of equal entries, row by row.

    Girshick 2015 (Fast R-CNN), arXiv:1504.08083, §2.1. Equals `torchvision.ops.roi_pool`. A box with inf or NaN has
    empty bins. Raises `ValueError` for a `scale` that is not positive.

    >>> x = jnp.arange(16.0).reshape(4, 4, 1)
    >>> roi_pool(x, jnp.array([[0.0, 0.0, 3.0, 3.0]]), size=2)[0, :, :, 0]
    Array([[ 5.,  7.],
           [13., 15.]], dtype=float32)
    """
    within("(0, inf)", scale=scale)
    grid = pair("size", size)
    batch, (h, w, c), k = x.shape[:-3], x.shape[-3:], boxes.shape[-2]
    if k == 0:
        return jnp.zeros((*batch, k, *grid, c), x.dtype)
    corners = lax.stop_gradient(widened(boxes)) * scale
    images, boxes = jnp.asarray(x).reshape(-1, h, w, c), corners.reshape(-1, k, 4)
    return maxima(images, boxes, grid).reshape(*batch, k, *grid, c)
