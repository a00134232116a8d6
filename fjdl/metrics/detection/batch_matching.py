"""Which detection of a batch of images finds which object, inside of a compiled program.

The rules are those of `matching`. All images are matched at once; the detections of an image take their turns in a
scan, each for all thresholds and ranges of area together.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fjdl import boxes as geometry
from fjdl.meshes import scan
from fjdl.metrics.detection.batch_scenes import Scenes
from fjdl.metrics.ranking.ranks import sort_keys
from fjdl.numerics import safe_divide
from fjdl.typing import Array, Bool, Float, Int, typed


class Found(NamedTuple):
    """Detections `[n, d]` by falling score in each image, and their rank among those of their class there."""

    boxes: Float[Array, "n d 4"]
    scores: Float[Array, "n d"]
    labels: Int[Array, "n d"]
    valid: Bool[Array, "n d"]
    rank: Int[Array, "n d"]


@typed
def by_score(scenes: Scenes, *, most: int | None = None) -> Found:
    """The detections of each image by falling score, equal scores in the order given, the valid ones first.

    Of each class in an image those of the `most` highest scores stay valid.
    """
    place = jnp.broadcast_to(jnp.arange(scenes.scores.shape[1], dtype=jnp.int32), scenes.scores.shape)
    operands = (~scenes.valid, ~sort_keys(scenes.scores), place)
    *_, order = lax.sort(operands, num_keys=2, is_stable=True)
    scores, labels, valid = (jnp.take_along_axis(x, order, 1) for x in (scenes.scores, scenes.labels, scenes.valid))
    boxes = jnp.take_along_axis(scenes.boxes, order[..., None], 1)
    alike = (labels[:, :, None] == labels[:, None]) & valid[:, None]
    rank = jnp.sum(jnp.tril(alike, -1), axis=-1, dtype=jnp.int32)
    return Found(boxes, scores, labels, valid if most is None else valid & (rank < most), rank)


@typed
def object_areas(scenes: Scenes) -> Float[Array, "n o"]:
    """The areas of the objects, those of their boxes where none are given."""
    return geometry.area(scenes.true_boxes) if scenes.area is None else scenes.area


@typed
def in_ranges(area: Float[Array, "n k"], ranges: np.ndarray) -> Bool[Array, "n k a"]:
    """Whether each area lies in each of the ranges `[a, 2]`, ends included; a NaN lies in all."""
    low, high = jnp.asarray(ranges.T, area.dtype)
    return ~((area[..., None] < low[None, None]) | (area[..., None] > high[None, None]))


@typed
def greedy_batch_outcomes(
    found: Found, scenes: Scenes, *, thresholds: np.ndarray, areas: np.ndarray
) -> tuple[Bool[Array, "n d t a"], Bool[Array, "n d t a"]]:
    """COCO's outcomes: where a detection finds an object that is looked for, and where it is wrong."""
    wanted = in_ranges(object_areas(scenes), areas) & ~scenes.ignored[..., None]
    overlap = _overlaps(found, scenes, crowds=True)
    limits = jnp.asarray(np.minimum(thresholds, 1 - 1e-10), overlap.dtype)
    turns = jax.vmap(_take_turns, in_axes=(0, 0, 0, None))
    matched, right = turns(overlap, ~scenes.ignored, jnp.swapaxes(wanted, 1, 2), limits)
    inside = in_ranges(geometry.area(found.boxes), areas)[:, :, None]
    return right, ~matched & inside


@typed
def nearest_batch_outcomes(
    found: Found, scenes: Scenes, *, threshold: float
) -> tuple[Bool[Array, "n d"], Bool[Array, "n d"]]:
    """Pascal VOC's outcomes: where a detection is right, and where it is wrong; neither for a difficult object."""
    overlap = _overlaps(found, scenes, crowds=False)
    if overlap.shape[2] == 0:
        return jnp.zeros_like(found.valid), found.valid
    nearest, most = jnp.argmax(overlap, axis=2).astype(jnp.int32), jnp.max(overlap, axis=2)
    finds = most >= jnp.asarray(threshold, overlap.dtype)
    same = (nearest[:, :, None] == nearest[:, None]) & finds[:, None]
    again = jnp.any(jnp.tril(same, -1), axis=-1)
    difficult = finds & jnp.take_along_axis(scenes.ignored, nearest, 1)
    return finds & ~again & ~difficult, ~difficult & (again | ~finds)


def _take_turns(
    overlap: Float[Array, "d o"], single: Bool[Array, " o"], wanted: Bool[Array, "a o"], limits: Float[Array, " t"]
) -> tuple[Bool[Array, "d t a"], Bool[Array, "d t a"]]:
    """Whether each detection of an image finds an object, and whether that is looked for."""
    objects = overlap.shape[1]
    if objects == 0:
        nothing = jnp.zeros((overlap.shape[0], limits.shape[0], wanted.shape[0]), bool)
        return nothing, nothing

    def turn(taken: Array, row: Array) -> tuple[Array, tuple[Array, Array]]:
        free = (row[None] >= limits[:, None])[:, None] & ~taken
        asked = jnp.any(free & wanted[None], axis=-1, keepdims=True)
        overlaps = jnp.where(free & (wanted[None] | ~asked), row[None, None], -1)
        best = objects - 1 - jnp.argmax(jnp.flip(overlaps, -1), axis=-1).astype(jnp.int32)
        finds = jnp.any(free, axis=-1)
        chosen = (best[..., None] == jnp.arange(objects, dtype=jnp.int32)[None, None]) & finds[..., None]
        return taken | (chosen & single[None, None]), (finds, jnp.any(chosen & wanted[None], axis=-1))

    start = jnp.zeros((limits.shape[0], wanted.shape[0], objects), bool)
    return scan(turn, start, overlap)[1]


def _overlaps(found: Found, scenes: Scenes, *, crowds: bool) -> Float[Array, "n d o"]:
    """IoU of the valid detections and objects of one class, -1 of all others; with a crowd the share of a detection."""
    shape = (*found.labels.shape, scenes.true_labels.shape[1])
    a, b = (jnp.broadcast_to(x, (*shape, 4)) for x in (found.boxes[:, :, None], scenes.true_boxes[:, None]))
    shared, mine = geometry.intersection(a, b), geometry.area(a)
    whole = mine + geometry.area(b) - shared
    whole = jnp.where(scenes.ignored[:, None], mine, whole) if crowds else whole
    alike = found.labels[:, :, None] == scenes.true_labels[:, None]
    alike = alike & found.valid[:, :, None] & scenes.there[:, None]
    overlap = safe_divide(shared, whole)
    return jnp.where(alike & ~jnp.isnan(overlap), overlap, -1)
