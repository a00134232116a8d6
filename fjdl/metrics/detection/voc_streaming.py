"""Average precision of Pascal VOC over batches, inside of compiled programs."""

import jax
import jax.numpy as jnp
from jax import lax

from fjdl.checks import within
from fjdl.metrics.base import Metric, streaming
from fjdl.metrics.detection.batch_matching import by_score, nearest_batch_outcomes
from fjdl.metrics.detection.batch_scenes import Scenes
from fjdl.metrics.detection.streamed import (
    Kept,
    added,
    merged,
    nothing,
    ranked,
    require_room,
    unknown,
    updating,
    within_class,
)
from fjdl.metrics.detection.voc import VocPrecision
from fjdl.metrics.state import sums
from fjdl.numerics import safe_divide
from fjdl.typing import Array, Bool, Integer, typed


@streaming("voc_evaluation(detections, truth)")
def voc_detection(classes: int, *, capacity: int, iou_threshold: float = 0.5) -> Metric:
    """Pascal VOC's average precisions of detections over all batches, by the rules of `voc_evaluation`.

    `update(state, detections, truth, weights=None)` and the state are those of `coco_detection`, with
    `difficult [n, o]` in the place of crowds. Results are those of all images at once, to seven digits.
    """
    require_room(classes=classes, capacity=capacity)
    within("(0, 1]", iou_threshold=iou_threshold)

    def init() -> Kept:
        return nothing(capacity=capacity, objects=(classes,), outcomes=())

    @jax.jit
    def matched(state: Kept, scenes: Scenes) -> Kept:
        found = by_score(scenes)
        right, wrong = nearest_batch_outcomes(found, scenes, threshold=iou_threshold)
        return added(state, found, scenes, right, wrong, ~scenes.ignored)

    @typed
    def compute(state: Kept) -> VocPrecision:
        return _precisions(state)

    return Metric(init, updating(matched, classes=classes, ignored="difficult"), merged, compute)


@jax.jit
def _precisions(state: Kept) -> VocPrecision:
    order, wanted = ranked(state), state.objects.low.astype(jnp.int32)
    label, score = order.row.label, order.row.score
    right, wrong = order.row.right.astype(bool), order.row.wrong.astype(bool)
    found = within_class(right, label, order.starts)
    counted = found + within_class(wrong, label, order.starts)
    precision = found.astype(score.dtype) / jnp.maximum(counted, 1).astype(score.dtype)
    scores = _areas(right, precision, label, wanted), _at_recalls(right, precision, found, label, wanted)
    there = (wanted > 0) & ~unknown(state)
    number = jnp.sum(there).astype(score.dtype)
    means = [safe_divide(jnp.sum(x, where=there), number, otherwise=jnp.nan) for x in scores]
    return VocPrecision(*(jnp.where(there, x, jnp.nan) for x in scores), *means)


def _areas(right: Bool[Array, " d"], precision: Array, label: Integer[Array, " d"], wanted: Array) -> Array:
    """The highest precision from each right detection on, summed over those of a class and divided by its objects."""

    def higher(later: tuple[Array, Array], earlier: tuple[Array, Array]) -> tuple[Array, Array]:
        same = later[0] == earlier[0]
        return earlier[0], jnp.where(same, jnp.maximum(later[1], earlier[1]), earlier[1])

    _, highest = lax.associative_scan(higher, (label, precision), reverse=True)
    total = sums.to_float(sums.by_index(jnp.where(right, highest, 0), label, wanted.shape[0]))
    return total / jnp.maximum(wanted, 1).astype(total.dtype)


def _at_recalls(right: Bool[Array, " d"], precision: Array, found: Array, label: Array, wanted: Array) -> Array:
    """The mean of the highest precisions at the recalls 0, 0.1, … 1, which are reached in whole numbers."""
    point = jnp.where(right, 10 * found // jnp.maximum(jnp.append(wanted, 1)[label], 1), 11)
    table = jnp.zeros((11, wanted.shape[0]), precision.dtype).at[point, label].max(precision, mode="drop")
    return jnp.mean(lax.cummax(table, axis=0, reverse=True), axis=0)
