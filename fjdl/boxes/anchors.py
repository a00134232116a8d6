"""Anchors: boxes of fixed shapes around the cells of feature maps, which a detector moves and scales.

A shape is `(width, height)` in pixels of the image. The cell in row i and column j of a map with stride s has its
centre at `((j + offset) s, (i + offset) s)`: with `offset=0.5` in the middle of the pixels that it stands for, as in
SSD and YOLO, where pixel (0, 0) covers [0, 1] × [0, 1]. torchvision's `AnchorGenerator`, and so Faster R-CNN and
RetinaNet there, has `offset=0` and `rounded=True`: the same boxes half a stride to the left and up.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax

from fjdl.boxes.overlap import area
from fjdl.checks import at_least, within
from fjdl.fused import fused
from fjdl.geometry import certain
from fjdl.numerics import widened
from fjdl.typing import Array, Float, Int, typed

Extent = float | tuple[float, float]  # pixels from one cell to the next, down and across


@typed
def octave_sizes(base: float, *, octaves: int = 3) -> tuple[float, ...]:
    """`octaves` sizes from `base` on to below twice as much: `base · 2^(i / octaves)`.

    Lin et al. 2017 (RetinaNet), arXiv:1708.02002, §4, with bases of 32 to 512. torchvision cuts them to whole numbers.
    Raises `ValueError` unless `base` is positive and finite.

    >>> octave_sizes(32.0)
    (32.0, 40.317..., 50.796...)
    """
    within("(0, inf)", base=base)
    at_least(1, octaves=octaves)
    return tuple(base * 2 ** (i / octaves) for i in range(octaves))


@typed
def anchor_shapes(sizes: Sequence[float], *, ratios: Sequence[float] = (0.5, 1.0, 2.0)) -> Float[Array, "shapes 2"]:
    """Shapes of area `size²` for each ratio = height / width and each size: `(size / √ratio, size · √ratio)`.

    All sizes of the first ratio come first, as in torchvision's `AnchorGenerator`. Ren et al. 2015 (Faster R-CNN),
    arXiv:1506.01497, §3.1.1. Raises `ValueError` unless all are positive and finite.

    >>> anchor_shapes([2.0], ratios=[1.0, 4.0])
    Array([[2., 2.],
           [1., 4.]], dtype=float32)
    """
    within("(0, inf)", sizes=tuple(sizes), ratios=tuple(ratios))
    root = np.sqrt(np.asarray(ratios, np.float64))[:, None]
    shapes = np.stack([np.asarray(sizes) / root, np.asarray(sizes) * root], axis=-1)
    return jnp.asarray(shapes.reshape(-1, 2), jnp.float32)


@typed
def ssd_scales(levels: int, *, least: float = 0.2, largest: float = 0.9) -> tuple[float, ...]:
    """The scale of each level, evenly from `least` to `largest`, and 1 after the last; parts of the image's side.

    Liu et al. 2016 (SSD), arXiv:1512.02325, (4); torchvision's `DefaultBoxGenerator`. A single level has `least`.
    """
    at_least(1, levels=levels)
    within("(0, inf)", least=least, largest=largest)
    step = (largest - least) / max(levels - 1, 1)
    return (*(least + step * level for level in range(levels)), 1.0)


@typed
def ssd_shapes(scale: float, following: float, *, ratios: Sequence[float] = (2.0, 3.0)) -> Float[Array, "shapes 2"]:
    """SSD's shapes of a level: squares of `scale` and of its geometric mean with the `following` one, then each ratio.

    For each ratio there are `(scale · √ratio, scale / √ratio)` and the one turned by 90°. Scales may be parts of the
    image or pixels, shapes are in the same unit. The order is that of torchvision's `DefaultBoxGenerator`, which cuts
    off parts above 1. Liu et al. 2016, arXiv:1512.02325, §2.2.

    >>> ssd_shapes(1.0, 4.0, ratios=[4.0])
    Array([[1. , 1. ],
           [2. , 2. ],
           [2. , 0.5],
           [0.5, 2. ]], dtype=float32)
    """
    within("(0, inf)", scale=scale, following=following, ratios=tuple(ratios))
    mean = float(np.sqrt(scale * following))
    roots = [float(np.sqrt(ratio)) for ratio in ratios]
    turned = [shape for r in roots for shape in ((scale * r, scale / r), (scale / r, scale * r))]
    return jnp.asarray([(scale, scale), (mean, mean), *turned], jnp.float32)


@typed
def grid_anchors(
    shapes: Float[Array, "shapes 2"],
    *,
    size: tuple[int, int],
    stride: Extent,
    offset: float = 0.5,
    rounded: bool = False,
) -> Float[Array, "anchors 4"]:
    """Boxes of all shapes around each cell of a map of `size` = (rows, columns), `rows · columns · shapes` of them.

    Row by row, then column by column, then in the order of the shapes. `stride` is that down and across in pixels.
    `rounded` rounds the corners around the origin to whole pixels, halves to even, before they are moved to a cell.
    Raises `ValueError` unless the stride is positive and finite, and for an empty map.

    >>> grid_anchors(jnp.array([[2.0, 4.0]]), size=(1, 2), stride=8)
    Array([[ 3.,  2.,  5.,  6.],
           [11.,  2., 13.,  6.]], dtype=float32)
    """
    rows, columns = size
    down, across = stride if isinstance(stride, tuple) else (stride, stride)
    within("(0, inf)", stride=(down, across))
    if certain(lambda: rows < 1) or certain(lambda: columns < 1):
        raise ValueError(f"size must have at least one row and column, got {size}")
    return _around_cells(widened(shapes), rows, columns, down, across, offset, rounded)


@fused
def _around_cells(
    shapes: Float[Array, "shapes 2"],
    rows: int,
    columns: int,
    down: float,
    across: float,
    offset: float,
    rounded: bool,
) -> Float[Array, "anchors 4"]:
    half = shapes / 2
    around = jnp.concatenate([-half, half], axis=1)
    around = jnp.round(around) if rounded else around
    x, y = ((jnp.arange(n).astype(jnp.float32) + offset) * step for n, step in ((columns, across), (rows, down)))
    y, x = jnp.meshgrid(y, x, indexing="ij")
    centers = jnp.stack([x, y, x, y], axis=-1)[:, :, None]
    return (centers + around[None, None]).reshape(rows * columns * shapes.shape[0], 4)


@typed
def pyramid_anchors(
    shapes: Sequence[Float[Array, "_ 2"]],
    *,
    sizes: Sequence[tuple[int, int]],
    strides: Sequence[Extent],
    offset: float = 0.5,
    rounded: bool = False,
) -> Float[Array, "anchors 4"]:
    """`grid_anchors` of each level of a pyramid in one list, level after level.

    Raises `ValueError` unless there are as many shapes and strides as sizes.

    >>> levels = [anchor_shapes(octave_sizes(4.0 * stride)) for stride in (8, 16)]
    >>> pyramid_anchors(levels, sizes=[(4, 4), (2, 2)], strides=[8, 16]).shape
    (180, 4)
    """
    if not len(shapes) == len(sizes) == len(strides) > 0:
        raise ValueError(
            f"shapes, sizes and strides must be as many, one for each level, got {len(shapes)}, {len(sizes)} and "
            f"{len(strides)}"
        )
    levels = zip(shapes, sizes, strides, strict=True)
    return jnp.concatenate(
        [grid_anchors(own, size=size, stride=s, offset=offset, rounded=rounded) for own, size, s in levels]
    )


@typed
def pyramid_levels(
    boxes: Float[Array, "*batch 4"],
    *,
    lowest: int = 2,
    highest: int = 5,
    canonical_size: float = 224.0,
    canonical_level: int = 4,
) -> Int[Array, "*batch"]:
    """The level of a pyramid for each box, `⌊canonical_level + log₂(√area / canonical_size)⌋` in [lowest, highest].

    Lin et al. 2017 (FPN), arXiv:1612.03144, (1). A sum less than 1e-6 below a level reaches it, as in torchvision's
    `LevelMapper`. A box without area, or with NaN, has the lowest level. Raises `ValueError` for levels that descend.

    >>> pyramid_levels(jnp.array([[0.0, 0.0, 224.0, 224.0], [0.0, 0.0, 50.0, 100.0], [0.0, 0.0, 900.0, 900.0]]))
    Array([4, 2, 5], dtype=int32)
    """
    within("(0, inf)", canonical_size=canonical_size)
    if lowest > highest:
        raise ValueError(f"lowest must be at most highest, got {lowest} and {highest}")
    side = jnp.sqrt(lax.stop_gradient(area(boxes)))
    level = jnp.floor(canonical_level + jnp.log2(jnp.where(side > 0, side, 1e-30) / canonical_size) + 1e-6)
    return jnp.clip(level, lowest, highest).astype(jnp.int32)
