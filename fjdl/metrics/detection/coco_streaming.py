"""COCO's scores of detections over batches, inside of compiled programs."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fjdl.checks import at_least, within
from fjdl.metrics.base import Metric, streaming
from fjdl.metrics.detection.batch_matching import by_score, greedy_batch_outcomes, in_ranges, object_areas
from fjdl.metrics.detection.batch_scenes import Scenes
from fjdl.metrics.detection.coco import AREAS, IOU_THRESHOLDS, MAX_DETECTIONS, RECALLS, CocoEvaluation
from fjdl.metrics.detection.streamed import (
    Kept,
    Ranked,
    added,
    merged,
    nothing,
    ranked,
    require_room,
    unknown,
    updating,
    within_class,
)
from fjdl.typing import Array, Bool, Integer, typed

# Recalls r/100 whose double is larger than the nearest one of r/100: a recall of exactly r/100 does not reach them.
_ABOVE = np.append(np.arange(101) / 100 < RECALLS, False)


@streaming("coco_evaluation(detections, truth)")
def coco_detection(
    classes: int,
    *,
    capacity: int,
    iou_thresholds: Sequence[float] = IOU_THRESHOLDS,
    areas: Sequence[tuple[float, float]] = AREAS,
    max_detections: Sequence[int] = MAX_DETECTIONS,
) -> Metric:
    """COCO's evaluation of detections over all batches; `then(coco_detection(…), coco_summary)` gives the 12 numbers.

    `update(state, detections, truth, weights=None)` with the arrays of `n` images: `detections` is a
    `boxes.Detections`, or a mapping of `boxes [n, d, 4]`, `scores`, `labels` and `valid [n, d]`; `truth` is a mapping,
    such as a batch, of `boxes [n, o, 4]`, `labels` and `valid [n, o]`, and where there are such, `crowd [n, o]`,
    `area [n, o]` and `index [n]`. Weights select images. Rules and result are those of `coco_evaluation`.

    The state has room for `capacity` detections, about 50 bytes for each; of a class in an image it keeps the
    `max(max_detections)` highest scores. Where more came, the result is NaN, as where a score is. Counts are exact, so
    that the result is that of all images at once, however they were split: to seven digits, if no IoU in float32 is
    within rounding of a threshold. Equal scores of different images go by their `index`, or in the order they came.
    """
    within("(0, 1]", iou_thresholds=list(iou_thresholds))
    at_least(1, max_detections=list(max_detections))
    if len(iou_thresholds) > 32:
        raise ValueError(f"iou_thresholds must be 32 at most, got {len(iou_thresholds)}")
    require_room(classes=classes, capacity=capacity)
    limits, ranges = np.asarray(iou_thresholds, np.float64), np.asarray(areas, np.float64)

    def init() -> Kept:
        return nothing(capacity=capacity, objects=(classes, len(ranges)), outcomes=(len(ranges),))

    @jax.jit
    def matched(state: Kept, scenes: Scenes) -> Kept:
        found = by_score(scenes, most=max(max_detections))
        right, wrong = greedy_batch_outcomes(found, scenes, thresholds=limits, areas=ranges)
        wanted = in_ranges(object_areas(scenes), ranges) & ~scenes.ignored[..., None]
        return added(state, found, scenes, _in_bits(right), _in_bits(wrong), wanted)

    @typed
    def compute(state: Kept) -> CocoEvaluation:
        return _evaluated(state, len(limits), tuple(max_detections))

    return Metric(init, updating(matched, classes=classes, ignored="crowd"), merged, compute)


@partial(jax.jit, static_argnums=(1, 2))
def _evaluated(state: Kept, thresholds: int, numbers: tuple[int, ...]) -> CocoEvaluation:
    order = ranked(state)
    wanted = state.objects.low.astype(jnp.int32)
    areas = wanted.shape[1]

    def at(place: Array) -> tuple[Array, Array, Array]:
        area, number = place // len(numbers), place % len(numbers)
        kept = order.row.rank < jnp.asarray(numbers, jnp.int32)[number]
        bits = [jnp.take(x, area, axis=1) for x in (order.row.right, order.row.wrong)]
        right, wrong = (_of_bits(x, thresholds) & kept[None] for x in bits)
        return _curves(order, right, wrong, kept, jnp.take(wanted, area, axis=1))

    curves = lax.map(at, jnp.arange(areas * len(numbers), dtype=jnp.int32))
    curves = [jnp.moveaxis(x, 0, -1).reshape(*x.shape[1:], areas, len(numbers)) for x in curves]
    precision, recall, scores = curves
    there = jnp.broadcast_to(wanted[None, None, :, :, None] > 0, precision.shape)
    values = [jnp.where(y, x, -1) for x, y in ((precision, there), (recall, there[:, 0]), (scores, there))]
    return CocoEvaluation(*(jnp.where(unknown(state), jnp.nan, x) for x in values))


def _curves(
    order: Ranked, right: Bool[Array, "t d"], wrong: Bool[Array, "t d"], kept: Bool[Array, " d"], wanted: Array
) -> tuple[Array, Array, Array]:
    """Precisions `[t, 101, k]`, recalls `[t, k]` and scores `[t, 101, k]` in one range of area."""
    label, starts, score, classes = order.row.label, order.starts, order.row.score, wanted.shape[0]
    found = within_class(right, label, starts)
    counted = found + within_class(wrong, label, starts)
    precision = found.astype(score.dtype) / jnp.maximum(counted, 1).astype(score.dtype)
    point = jnp.where(right, _points_reached(found, jnp.append(wanted, 0)[label]), 101)
    tables = jnp.zeros((found.shape[0], 101, classes), score.dtype), jnp.full((found.shape[0], 101, classes), -jnp.inf)
    t = jnp.broadcast_to(jnp.arange(found.shape[0], dtype=jnp.int32)[:, None], point.shape)
    cell = t, point, jnp.broadcast_to(label, point.shape)
    at_points = [
        lax.cummax(table.at[cell].max(jnp.broadcast_to(x, point.shape), mode="drop"), axis=1, reverse=True)
        for table, x in zip(tables, (precision, score), strict=True)
    ]
    first = jnp.full(classes, -jnp.inf).at[label].max(jnp.where(kept, score, -jnp.inf), mode="drop")
    scores = at_points[1].at[:, 0].set(jnp.broadcast_to(first, (found.shape[0], classes)))
    total = jnp.zeros((found.shape[0], classes), jnp.int32).at[t, cell[2]].add(right.astype(jnp.int32), mode="drop")
    recall = total.astype(score.dtype) / jnp.maximum(wanted, 1).astype(score.dtype)[None]
    return at_points[0], recall, jnp.where(jnp.isneginf(scores), 0, scores)


def _points_reached(found: Integer[Array, "t d"], wanted: Integer[Array, " d"]) -> Array:
    """The last of the 101 recalls that `found` of `wanted` objects reach, in whole numbers."""
    hundredfold, wanted = 100 * found, jnp.maximum(wanted, 1)[None]
    point = jnp.minimum(hundredfold // wanted, 101)
    exact = hundredfold == point * wanted
    return point - (exact & jnp.asarray(_ABOVE)[point]).astype(jnp.int32)


def _in_bits(outcomes: Bool[Array, "n d t a"]) -> Array:
    """The outcomes at all thresholds as bits of uint32 `[n, d, a]`."""
    places = jnp.arange(outcomes.shape[2], dtype=jnp.uint32)[None, None, :, None]
    return jnp.sum(outcomes.astype(jnp.uint32) << places, axis=2, dtype=jnp.uint32)


def _of_bits(bits: Array, thresholds: int) -> Bool[Array, "t d"]:
    return ((bits[None] >> jnp.arange(thresholds, dtype=jnp.uint32)[:, None]) & 1).astype(bool)
