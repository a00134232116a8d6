"""Examples whose labels move with the image.

A sample is a dict with "image" `[h, w, c]` and, where it has them, "mask" `[h, w]` of classes, "boxes" `[m, 4]` as
corners in pixels, and "valid" `[m]`, which says which of the boxes are there. The functions here move all of them
alike: masks are sampled by the nearest pixel, boxes are clipped to the image, and those with a side below `smallest`
pixels become invalid and all 0. A sample with boxes has "valid" afterwards, as booleans; in one that is given, what is
not 0 is there. Other entries stay. With the same key `random_x_sample` moves the image just as `random_x` does.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from fjdl.augment.boxes import move_boxes, seen_boxes
from fjdl.augment.combine import Random
from fjdl.augment.cropping import centre_start, crop, pad, random_start
from fjdl.augment.distort import Displacement, elastic, origins, random_displacement
from fjdl.augment.geometry import coin, flip_vertical, mirror, rot90
from fjdl.augment.pixels import check_fill
from fjdl.augment.plane import Matrix, random_matrix, translation
from fjdl.augment.resize import inside, resized_crop
from fjdl.augment.warp import affine
from fjdl.augment.window import random_window
from fjdl.boxes.convert import clip_to_image, large_boxes
from fjdl.typing import Array, Bool, Int, Integer, PRNGKey, typed

Sample = Mapping[str, Array]
Move = Callable[[Array], Array]
Number = Array | float


def on_image(function: Callable[[PRNGKey, Array], Array]) -> Random:
    """A random function of images, such as a change of colour, as one of samples that leaves the rest."""
    return lambda key, sample: {**sample, "image": function(key, sample["image"])}


@typed
def affine_sample(
    sample: Sample, matrix: Matrix, *, fill: float = 0.0, mask_fill: int = 0, smallest: float = 1.0
) -> dict[str, Array]:
    """`affine` of a sample; `fill` opens in the image and `mask_fill` in the mask."""
    check_mask(sample, mask_fill)
    return moved_with(
        sample,
        matrix,
        image=lambda image: affine(image, matrix, fill=fill),
        mask=lambda mask: affine(mask, matrix, fill=mask_fill, nearest=True),
        smallest=smallest,
    )


@typed
def random_affine_sample(
    key: PRNGKey,
    sample: Sample,
    *,
    degrees: float = 0.0,
    translate: float = 0.0,
    shear: float = 0.0,
    scale: tuple[float, float] = (1.0, 1.0),
    fill: float = 0.0,
    mask_fill: int = 0,
    smallest: float = 1.0,
) -> dict[str, Array]:
    """`affine_sample` by `random_matrix`."""
    matrix = random_matrix(key, size=size_of(sample), degrees=degrees, translate=translate, shear=shear, scale=scale)
    return affine_sample(sample, matrix, fill=fill, mask_fill=mask_fill, smallest=smallest)


@typed
def mirror_sample(sample: Sample, flip: Bool[Array, ""], *, smallest: float = 1.0) -> dict[str, Array]:
    """`mirror` of a sample."""
    sign = jnp.where(flip, -1.0, 1.0)
    matrix = scaled_map((1.0, sign), (0.0, jnp.where(flip, size_of(sample)[1], 0)))
    return moved_with(sample, matrix, image=lambda image: mirror(image, flip), smallest=smallest)


@typed
def random_mirror_sample(
    key: PRNGKey, sample: Sample, *, probability: float = 0.5, smallest: float = 1.0
) -> dict[str, Array]:
    """`mirror_sample` with the given probability; raises `ValueError` where it is outside [0, 1]."""
    return mirror_sample(sample, coin(key, probability=probability), smallest=smallest)


@typed
def flip_vertical_sample(sample: Sample, flip: Bool[Array, ""], *, smallest: float = 1.0) -> dict[str, Array]:
    """`flip_vertical` of a sample."""
    sign = jnp.where(flip, -1.0, 1.0)
    matrix = scaled_map((sign, 1.0), (jnp.where(flip, size_of(sample)[0], 0), 0.0))
    return moved_with(sample, matrix, image=lambda image: flip_vertical(image, flip), smallest=smallest)


@typed
def random_flip_vertical_sample(
    key: PRNGKey, sample: Sample, *, probability: float = 0.5, smallest: float = 1.0
) -> dict[str, Array]:
    """`flip_vertical_sample` with the given probability; raises `ValueError` where it is outside [0, 1]."""
    return flip_vertical_sample(sample, coin(key, probability=probability), smallest=smallest)


@typed
def crop_sample(
    sample: Sample, start: Int[Array, "2"], *, size: tuple[int, int], smallest: float = 1.0
) -> dict[str, Array]:
    """`crop` of a sample."""
    h, w = size_of(sample)
    start = jnp.asarray(start)
    start = jnp.clip(start, 0, jnp.array([h - size[0], w - size[1]], start.dtype))
    offset = -start.astype(jnp.float32)
    matrix = scaled_map((1.0, 1.0), (offset[0], offset[1]))
    return moved_with(sample, matrix, image=lambda image: crop(image, start, size=size), smallest=smallest)


@typed
def random_crop_sample(
    key: PRNGKey,
    sample: Sample,
    *,
    size: tuple[int, int],
    padding: int = 0,
    fill: float = 0.0,
    mask_fill: int = 0,
    smallest: float = 1.0,
) -> dict[str, Array]:
    """`crop_sample` at a uniform place after padding by `fill`, and by `mask_fill` in the mask."""
    check_mask(sample, mask_fill)
    padded = moved_with(
        sample,
        translation(jnp.full(2, float(padding))),
        image=lambda image: pad(image, padding=padding, fill=fill),
        mask=lambda mask: pad(mask, padding=padding, fill=mask_fill),
        smallest=smallest,
    )
    return crop_sample(padded, random_start(key, extent=size_of(padded), size=size), size=size, smallest=smallest)


@typed
def centre_crop_sample(sample: Sample, *, size: tuple[int, int], smallest: float = 1.0) -> dict[str, Array]:
    """`centre_crop` of a sample."""
    return crop_sample(sample, centre_start(extent=size_of(sample), size=size), size=size, smallest=smallest)


@typed
def rot90_sample(sample: Sample, quarters: Integer[Array, ""] | int, *, smallest: float = 1.0) -> dict[str, Array]:
    """`rot90` of a sample."""
    h, w = size_of(sample)
    turns = [
        [[1, 0, 0], [0, 1, 0]],
        [[0, 1, 0], [-1, 0, w]],
        [[-1, 0, w], [0, -1, h]],
        [[0, -1, h], [1, 0, 0]],
    ]
    number = jnp.asarray(jnp.asarray(quarters) % 4, jnp.int32)
    matrix = jax.lax.select_n(number, *(jnp.array(turn, jnp.float32) for turn in turns))
    return moved_with(sample, matrix, image=lambda image: rot90(image, quarters), smallest=smallest)


@typed
def random_rot90_sample(key: PRNGKey, sample: Sample, *, smallest: float = 1.0) -> dict[str, Array]:
    """`rot90_sample` as `random_rot90` turns."""
    h, w = size_of(sample)
    if h == w:
        return rot90_sample(sample, jax.random.randint(key, (), 0, 4), smallest=smallest)
    half = coin(key, probability=0.5)
    return flip_vertical_sample(mirror_sample(sample, half, smallest=smallest), half, smallest=smallest)


@typed
def elastic_sample(
    sample: Sample, displacement: Displacement, *, fill: float = 0.0, mask_fill: int = 0, smallest: float = 1.0
) -> dict[str, Array]:
    """`elastic` of a sample; a box becomes the smallest one around the pixels that sample it, see `seen_boxes`."""
    check_mask(sample, mask_fill)
    return moved_with(
        sample,
        lambda boxes: seen_boxes(boxes, *origins(displacement)),
        image=lambda image: elastic(image, displacement, fill=fill),
        mask=lambda mask: elastic(mask, displacement, fill=mask_fill, nearest=True),
        smallest=smallest,
    )


@typed
def random_elastic_sample(
    key: PRNGKey,
    sample: Sample,
    *,
    alpha: float = 34.0,
    sigma: float = 4.0,
    fill: float = 0.0,
    mask_fill: int = 0,
    smallest: float = 1.0,
) -> dict[str, Array]:
    """`elastic_sample` by `random_displacement`."""
    displacement = random_displacement(key, size=size_of(sample), alpha=alpha, sigma=sigma)
    return elastic_sample(sample, displacement, fill=fill, mask_fill=mask_fill, smallest=smallest)


@typed
def resized_crop_sample(
    sample: Sample, window: Int[Array, "4"], *, size: tuple[int, int], antialias: bool = True, smallest: float = 1.0
) -> dict[str, Array]:
    """`resized_crop` of a sample."""
    start, extent = inside(window, size=size_of(sample))
    zoom = jnp.array(size, jnp.float32) / extent.astype(jnp.float32)
    offset = -start.astype(jnp.float32) * zoom
    return moved_with(
        sample,
        scaled_map((zoom[0], zoom[1]), (offset[0], offset[1])),
        image=lambda image: resized_crop(image, window, size=size, antialias=antialias),
        mask=lambda mask: resized_crop(mask, window, size=size, nearest=True),
        smallest=smallest,
    )


@typed
def random_resized_crop_sample(
    key: PRNGKey,
    sample: Sample,
    *,
    size: tuple[int, int],
    area: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    antialias: bool = True,
    smallest: float = 1.0,
) -> dict[str, Array]:
    """`resized_crop_sample` of a `random_window`, or of the whole image where ten attempts find none."""
    window, _ = random_window(key, size=size_of(sample), area=area, ratio=ratio)
    return resized_crop_sample(sample, window, size=size, antialias=antialias, smallest=smallest)


def check_mask(sample: Sample, mask_fill: int) -> None:
    """Raises `ValueError` for a `mask_fill` that the sample's mask cannot hold."""
    if "mask" in sample:
        check_fill(sample["mask"], mask_fill=mask_fill)


def boxes_there(sample: Sample) -> Bool[Array, "*m"]:
    """Which boxes of a sample, or of a batch, are there: all where nothing is said of them."""
    if "valid" in sample:
        return jnp.asarray(sample["valid"]).astype(bool)
    return jnp.ones(sample["boxes"].shape[:-1], bool)


def size_of(sample: Sample) -> tuple[int, int]:
    """Height and width of the image."""
    h, w, _ = sample["image"].shape
    return h, w


def scaled_map(factors: tuple[Number, Number], offset: tuple[Number, Number]) -> Matrix:
    """Scaling about the corner, then translation, both (vertical, horizontal)."""
    values = [[factors[1], 0.0, offset[1]], [0.0, factors[0], offset[0]]]
    return jnp.stack([jnp.stack([jnp.asarray(x, jnp.float32) for x in row]) for row in values])


def moved_with(
    sample: Sample, boxes: Matrix | Move, *, image: Move, mask: Move | None = None, smallest: float
) -> dict[str, Array]:
    """The sample with `image` applied to its image, `mask`, or else `image`, to its mask, and `boxes` to its boxes."""
    moved = {**sample, "image": image(sample["image"])}
    if "mask" in sample:
        moved["mask"] = (mask or image)(sample["mask"][..., None])[..., 0]
    if "boxes" in sample:
        places = boxes(sample["boxes"]) if callable(boxes) else move_boxes(sample["boxes"], boxes)
        height, width = size_of(moved)
        places = clip_to_image(places, height=height, width=width)
        valid = large_boxes(places, smallest=smallest)
        moved["valid"] = valid & boxes_there(sample)
        moved["boxes"] = jnp.where(moved["valid"][..., None], places, 0)
    return moved
