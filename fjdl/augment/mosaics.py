"""Mosaics: four examples of a batch in one image, with their boxes and masks."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp

from fjdl.augment.geometry import coin
from fjdl.augment.sample import boxes_there
from fjdl.augment.window import covered
from fjdl.boxes.convert import large_boxes
from fjdl.checks import within
from fjdl.lowering.slices import window
from fjdl.typing import Array, Bool, Float, Int, PRNGKey, Shaped, typed

PER_BOX = ("labels", "difficult", "crowd", "area")  # entries with a row for each box


@typed
def mosaic(
    batch: Mapping[str, Array],
    partners: Int[Array, "n 3"],
    centres: Int[Array, "n 2"],
    *,
    per_box: Sequence[str] = PER_BOX,
    smallest: float = 1.0,
) -> dict[str, Array]:
    """Images of four parts that meet at `centres` = (row, column): the own image on the upper left, then its partners'.

    `partners` are indices in the batch of the images on the upper right, the lower left and the lower right. Each part
    shows the corner of its image that is opposite to it, at its own scale: the upper left one its lower right corner.
    At the centre (h, w) the own image is everything. "mask" follows, and "boxes" `[n, m, 4]` are moved and cut off at
    the border of their part; a side below `smallest` pixels makes one invalid. Of the boxes of four images the `m` with
    the largest areas are kept, of equal ones the first, in the order of the parts and with those that are there in
    front; entries named in `per_box` go with them, and "valid" is there afterwards. Other entries stay those of the
    example. As in YOLOv4 (Bochkovskiy et al. 2020, arXiv:2004.10934, §3.3), without another scale.
    """
    images = jnp.asarray(batch["image"])
    four = jnp.concatenate([jnp.arange(images.shape[0], dtype=partners.dtype)[:, None], partners], axis=1)
    size, centres = images.shape[1:3], centres.astype(jnp.int32)
    centres = jnp.clip(centres, 0, jnp.broadcast_to(jnp.array(size, centres.dtype), centres.shape))
    made = {**batch, "image": jax.vmap(_joined)(images[four], centres)}
    if "mask" in batch:
        made["mask"] = jax.vmap(_joined)(jnp.asarray(batch["mask"])[four], centres)
    if "boxes" in batch:
        boxes, valid = _moved(batch, four, centres, size, smallest)
        kept = jax.vmap(_largest)(boxes, valid)
        rows = {name: _flat(jnp.asarray(batch[name])[four]) for name in per_box if name in batch}
        for name, values in {**rows, "boxes": boxes, "valid": valid}.items():
            made[name] = jax.vmap(_chosen)(values, kept)
    return made


@typed
def random_mosaic(
    key: PRNGKey,
    batch: Mapping[str, Array],
    *,
    probability: float = 1.0,
    centre: tuple[float, float] = (0.25, 0.75),
    per_box: Sequence[str] = PER_BOX,
    smallest: float = 1.0,
) -> dict[str, Array]:
    """`mosaic` of each example with three of the batch, each drawn uniformly, with the given probability.

    Row and column of the centre are uniform between the two shares of height and width in `centre`. Raises
    `ValueError` for a probability or a share outside [0, 1].
    """
    within("[0, 1]", centre=centre)
    n, *size, _ = batch["image"].shape
    others, places, chances = jax.random.split(key, 3)
    partners = jax.random.randint(others, (n, 3), 0, n)
    extent = jnp.array([size], jnp.float32)
    share = jax.random.uniform(places, (n, 2), jnp.float32, centre[0], centre[1])
    happens = jax.vmap(lambda chance: coin(chance, probability=probability))(jax.random.split(chances, n))
    centres = jnp.where(happens[:, None], jnp.round(share * extent), extent).astype(jnp.int32)
    return mosaic(batch, partners, centres, per_box=per_box, smallest=smallest)


def _joined(four: Shaped[Array, "4 h w ..."], centre: Int[Array, "2"]) -> Shaped[Array, "h w ..."]:
    """One image of four: first what each shows, at its own place, then all of it rolled to the place in the mosaic."""
    h, w = four.shape[1:3]
    start = jnp.array([h, w], centre.dtype) - centre
    whole = jnp.array([h, w], centre.dtype)
    upper = covered(jnp.concatenate([start * jnp.array([1, 0]), whole]).astype(jnp.int32), size=(h, w))
    left = covered(jnp.concatenate([start * jnp.array([0, 1]), whole]).astype(jnp.int32), size=(h, w))
    upper, left = (side.reshape(h, w, *(1,) * (four.ndim - 3)) for side in (upper, left))
    shown = jnp.where(upper, jnp.where(left, four[0], four[1]), jnp.where(left, four[2], four[3]))
    for axis in (0, 1):
        doubled = jnp.concatenate([shown, shown], axis=axis)
        shown = window(doubled, start * jnp.array([axis == 0, axis == 1], start.dtype), size=(h, w))
    return shown


def _moved(
    batch: Mapping[str, Array], four: Array, centres: Array, size: tuple[int, ...], smallest: float
) -> tuple[Float[Array, "n k 4"], Bool[Array, "n k"]]:
    """The boxes of all four parts in the mosaic and which of them are there."""
    h, w = size
    boxes = jnp.asarray(batch["boxes"])[four]
    y, x = (centres[:, k].astype(boxes.dtype)[:, None, None] for k in (0, 1))
    lower = jnp.array([False, False, True, True])[None, :, None]
    right = jnp.array([False, True, False, True])[None, :, None]
    over, down = jnp.where(right, x, x - w), jnp.where(lower, y, y - h)
    low = jnp.stack([jnp.where(right, x, 0), jnp.where(lower, y, 0)] * 2, axis=-1)
    high = jnp.stack([jnp.where(right, w, x), jnp.where(lower, h, y)] * 2, axis=-1)
    boxes = jnp.clip(boxes + jnp.stack([over, down] * 2, axis=-1), low, high)
    valid = large_boxes(boxes, smallest=smallest) & boxes_there(batch)[four]
    return _flat(boxes), _flat(valid)


def _flat(values: Array) -> Array:
    """Rows of four parts one after the other."""
    return values.reshape(values.shape[0], -1, *values.shape[3:])


def _largest(boxes: Float[Array, "k 4"], valid: Bool[Array, " k"]) -> Bool[Array, "m k"]:
    """Which box each row of the result takes: a quarter of the boxes, those with the largest areas, in their order."""
    sides = boxes[:, 2:] - boxes[:, :2]
    areas, places = jnp.where(valid, sides[:, 0] * sides[:, 1], -1), jnp.arange(len(boxes))
    larger = (areas[None] > areas[:, None]) | ((areas[None] == areas[:, None]) & (places[None] < places[:, None]))
    kept = valid & (jnp.sum(larger, axis=1) < len(boxes) // 4)
    row = jnp.cumsum(kept) - 1
    return kept[None] & (row[None] == jnp.arange(len(boxes) // 4)[:, None])


def _chosen(values: Shaped[Array, "k ..."], which: Bool[Array, "m k"]) -> Shaped[Array, "m ..."]:
    """The rows that are chosen, and 0 where none is; a gather for each example is slow but on CPU."""
    chosen = which.reshape(*which.shape, *(1,) * (values.ndim - 1))
    if values.dtype == jnp.bool_:
        return jnp.any(chosen & values[None], axis=1)
    return jnp.sum(jnp.where(chosen, values[None], jnp.zeros((), values.dtype)), axis=1, dtype=values.dtype)
