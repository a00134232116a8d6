"""What streamed scores of detections keep: a row for each detection, and how many objects there are of each class."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fjdl.checks import at_least, within
from fjdl.metrics.base import Weights
from fjdl.metrics.detection.batch_matching import Found
from fjdl.metrics.detection.batch_scenes import Scenes, batch_scenes, needed_arrays
from fjdl.metrics.ranking.ranks import sort_keys
from fjdl.metrics.state import counts, rows
from fjdl.metrics.state.counts import Count
from fjdl.metrics.state.rows import Rows
from fjdl.typing import Array, Bool, Float, Integer, typed

LARGEST = 2 * 10**7  # detections of which a hundredfold is an int32


class Row(NamedTuple):
    """Columns of the detections: score, class, number of the image, rank in it, and what they are, in bits or not."""

    score: Array
    label: Array
    image: Array
    rank: Array
    right: Array
    wrong: Array


class Kept(NamedTuple):
    """Detections that counted, images so far, objects that are looked for, and whether a score or weight was unfit."""

    rows: Rows
    images: Array
    objects: Count
    unfit: Array


class Ranked(NamedTuple):
    """Detections by class and falling score; those of class k lie in `[starts[k], starts[k + 1])`."""

    row: Row
    starts: Array


@typed
def require_room(*, classes: int, capacity: int) -> None:
    """Raises `ValueError` unless there are classes, and room for detections whose number is counted in int32."""
    at_least(1, classes=classes, capacity=capacity)
    within(f"[1, {LARGEST}]", capacity=capacity)


@typed
def nothing(*, capacity: int, objects: tuple[int, ...], outcomes: tuple[int, ...]) -> Kept:
    """The state before any image, with a row of `outcomes` 32-bit integers for each detection."""
    zeros, bits = jnp.zeros(capacity, jnp.int32), jnp.zeros((capacity, *outcomes), jnp.uint32)
    row = Row(jnp.zeros(capacity), zeros, zeros, zeros, bits, bits)
    return Kept(
        Rows(row, jnp.zeros((), jnp.int32)), jnp.zeros((), jnp.int32), counts.zero(objects), jnp.zeros((), bool)
    )


@typed
def added(kept: Kept, found: Found, scenes: Scenes, right: Array, wrong: Array, wanted: Bool[Array, "n o *a"]) -> Kept:
    """The state with a batch, whose images are numbered by its `index`, or else as they come."""
    images = scenes.labels.shape[0]
    number = kept.images + jnp.arange(images, dtype=jnp.int32) if scenes.number is None else scenes.number
    image = jnp.broadcast_to(number[:, None], found.rank.shape)
    row = Row(found.scores, found.labels, image, found.rank, right, wrong)
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), row)
    unfit = jnp.any(scenes.valid & jnp.isnan(scenes.scores)) | ~scenes.proper
    return Kept(
        rows.append(kept.rows, flat, found.valid.ravel()),
        kept.images + (images if scenes.number is None else 0),
        counts.add(kept.objects, _by_class(scenes, wanted, kept.objects.low.shape)),
        kept.unfit | unfit,
    )


@typed
def updating(add: Callable[[Kept, Scenes], Kept], *, classes: int, ignored: str) -> Callable[..., Kept]:
    """The metric's `update`, which adds the scenes of a batch; `ignored` is the key of objects not looked for."""

    @typed
    def update(state: Kept, detections: Any, truth: Any, weights: Weights = None) -> Kept:
        found, objects = needed_arrays(detections, truth, ignored=ignored)
        return of_arrays(state, found["boxes"], found, objects, weights)

    @typed
    def of_arrays(state: Kept, boxes: Float[Array, "n d 4"], arrays: Any, objects: Any, weights: Weights) -> Kept:
        found = {**arrays, "boxes": boxes}
        return add(state, batch_scenes(found, objects, weights, classes=classes, ignored=ignored))

    return update


@typed
def merged(a: Kept, b: Kept) -> Kept:
    """The state of both, whose images come after those of `a` where they have no index."""
    row = b.rows.columns
    later = Rows(row._replace(image=row.image + a.images), b.rows.seen)
    objects = counts.add(a.objects, b.objects)
    return Kept(rows.join(a.rows, later), a.images + b.images, objects, a.unfit | b.unfit)


@typed
def ranked(kept: Kept) -> Ranked:
    """The detections by class and falling score, equal scores by image and by rank in it; free rows are last.

    Those of an image came together and by rank, so that their place decides.
    """
    row, classes = kept.rows.columns, kept.objects.low.shape[0]
    label = jnp.where(rows.in_use(kept.rows), row.label, classes)
    place = jnp.arange(label.shape[0], dtype=jnp.int32)
    *_, order = lax.sort((label, ~sort_keys(row.score), row.image, place), num_keys=4)
    label = label[order]
    starts = jnp.searchsorted(label, jnp.arange(classes + 1, dtype=jnp.int32)).astype(jnp.int32)
    return Ranked(jax.tree.map(lambda x: x[order], row)._replace(label=label), starts)


@typed
def unknown(kept: Kept) -> Bool[Array, ""]:
    """Whether no result can be given: too many detections, a score that is NaN, or weights that do not select."""
    return kept.unfit | rows.overflown(kept.rows)


@typed
def within_class(
    counted: Bool[Array, "*more d"], label: Integer[Array, " d"], starts: Integer[Array, " k1"]
) -> Integer[Array, "*more d"]:
    """How many of a class are counted up to each detection, itself included, int32."""
    total = jnp.cumsum(counted, axis=-1, dtype=jnp.int32)
    before = jnp.pad(total, [(0, 0)] * (total.ndim - 1) + [(1, 0)])
    return total - before[..., starts[label]]


def _by_class(scenes: Scenes, wanted: Array, shape: tuple[int, ...]) -> Count:
    wanted = wanted & scenes.there.reshape(scenes.there.shape + (1,) * (wanted.ndim - 2))
    place = jnp.where(scenes.there, scenes.true_labels, shape[0]).ravel()
    numbers = wanted.astype(jnp.uint32).reshape(place.shape[0], *shape[1:])
    return counts.of(jnp.zeros(shape, jnp.uint32).at[place].add(numbers, mode="drop"))
