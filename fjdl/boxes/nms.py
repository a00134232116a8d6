"""Non-maximum suppression, and what a detector gives for a batch."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from fjdl.checks import at_least, within
from fjdl.fused import fused
from fjdl.lowering.suppression import Columns, decayed, kept
from fjdl.numerics import signed, widened
from fjdl.typing import Array, Bool, Float, Int, Integer, Number, typed


class Kept(NamedTuple):
    """Boxes that suppression leaves, by descending score; what stands behind the last is 0 and not valid."""

    indices: Int[Array, "most"]
    scores: Float[Array, "most"]
    valid: Bool[Array, "most"]


class Detections(NamedTuple):
    """What a detector finds in each of n images, by descending score; what stands behind the last is 0, not valid."""

    boxes: Float[Array, "n most 4"]
    scores: Float[Array, "n most"]
    labels: Int[Array, "n most"]
    valid: Bool[Array, "n most"]


@typed
@fused
def nms(
    boxes: Float[Array, "n 4"],
    scores: Float[Array, " n"],
    labels: Integer[Array, " n"] | None = None,
    valid: Bool[Array, " n"] | None = None,
    *,
    most: int | None = None,
    iou_threshold: Number = 0.5,
) -> Kept:
    """The best boxes, each of which no better one among them overlaps with an IoU above the threshold.

    With `labels` boxes of different labels do not suppress each other. Of equal scores the box of lower index comes
    first. A score of NaN or -inf is that of no box, as is one that is not `valid`. A box without area, or with NaN,
    overlaps none. `most` is the number of places in the result, n by default; the search ends when they are full.
    The gradient of the scores is that of a choice, and indices have none.

    Equals `torchvision.ops.nms` and, with labels, `torchvision.ops.batched_nms`, which shifts boxes of different labels
    apart where this compares labels, exactly for coordinates of any size. Raises `ValueError` for a threshold outside
    of [0, 1].

    >>> corners = jnp.array([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.8], [4.0, 0.0, 5.0, 1.0]])
    >>> kept = nms(corners, jnp.array([0.5, 0.9, 0.7]))
    >>> kept.indices, kept.valid
    (Array([1, 2, 0], dtype=int32), Array([ True,  True, False], dtype=bool))
    """
    within("[0, 1]", iou_threshold=iou_threshold)
    most = _places(most, scores)
    if not _some(scores):
        return _none(scores, most)
    ranked = lax.stop_gradient(_ranked(scores, valid))
    indices = kept(_columns(boxes, labels), ranked, jnp.asarray(iou_threshold, ranked.dtype), most=most)
    found = indices < scores.shape[0]
    indices = jnp.where(found, indices, 0)
    return Kept(indices, jnp.where(found, scores[indices], 0), found)


@typed
@fused
def soft_nms_linear(
    boxes: Float[Array, "n 4"],
    scores: Float[Array, " n"],
    labels: Integer[Array, " n"] | None = None,
    valid: Bool[Array, " n"] | None = None,
    *,
    most: int | None = None,
    iou_threshold: Number = 0.3,
    least: Number = 0.001,
) -> Kept:
    """The boxes by scores that each better box lowers, `s (1 - IoU)` where their IoU is above the threshold.

    Each time the box of the highest score is taken, with the score that it has then, in float32. Boxes of a score of
    at most `least` are dropped. Scores are probabilities; nothing has a gradient. Else as `nms`.
    Bodla et al. 2017, arXiv:1704.04503, (2). Raises `ValueError` for a threshold outside of [0, 1] and for a negative
    `least`.

    >>> kept = soft_nms_linear(jnp.array([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.0]]), jnp.array([0.5, 0.8]))
    >>> kept.indices, kept.scores
    (Array([1, 0], dtype=int32), Array([0.8 , 0.25], dtype=float32))
    """
    within("[0, 1]", iou_threshold=iou_threshold)
    return _soft(
        boxes, scores, labels, valid, lambda iou: jnp.where(iou > iou_threshold, 1 - iou, 1), most=most, least=least
    )


@typed
@fused
def soft_nms_gaussian(
    boxes: Float[Array, "n 4"],
    scores: Float[Array, " n"],
    labels: Integer[Array, " n"] | None = None,
    valid: Bool[Array, " n"] | None = None,
    *,
    most: int | None = None,
    sigma: Number = 0.5,
    least: Number = 0.001,
) -> Kept:
    """The boxes by scores that each better box lowers, `s exp(-IoU² / sigma)`.

    As `soft_nms_linear`, without a threshold of the overlap. Bodla et al. 2017, arXiv:1704.04503, (3). Raises
    `ValueError` unless `sigma` is positive and finite, and for a negative `least`.

    >>> kept = soft_nms_gaussian(jnp.array([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.0]]), jnp.array([0.5, 0.8]))
    >>> kept.indices, kept.scores
    (Array([1, 0], dtype=int32), Array([0.8      , 0.3032...], dtype=float32))
    """
    within("(0, inf)", sigma=sigma)
    return _soft(boxes, scores, labels, valid, lambda iou: jnp.exp(-jnp.square(iou) / sigma), most=most, least=least)


@typed
@fused
def detections(
    boxes: Float[Array, "n m 4"],
    scores: Float[Array, "n m"],
    labels: Integer[Array, "n m"],
    valid: Bool[Array, "n m"] | None = None,
    *,
    most: int = 100,
    iou_threshold: Number = 0.5,
    score_threshold: Number = 0.0,
    candidates: int | None = None,
) -> Detections:
    """What `nms` by label leaves of the boxes of each image, of those with a score above the threshold.

    With `candidates` only so many boxes of the highest scores enter it, of equal ones those of lower index.
    Raises `ValueError` as `nms` does.

    >>> found = detections(jnp.array([[[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.8]]]), jnp.array([[0.5, 0.9]]),
    ...                    jnp.array([[1, 1]]), most=1)
    >>> found.scores, found.labels
    (Array([[0.9]], dtype=float32), Array([[1]], dtype=int32))
    """
    ranked = jax.vmap(lambda scores, valid: _ranked(scores, valid, score_threshold))(scores, _all(scores, valid))
    chosen = _best(ranked, candidates)
    boxes, scores, labels = (_taken(x, chosen) for x in (boxes, scores, signed(labels)))
    return _suppressed(boxes, scores, labels, _taken(ranked, chosen) > -jnp.inf, most=most, iou_threshold=iou_threshold)


@typed
@fused
def class_detections(
    boxes: Float[Array, "n m 4"],
    scores: Float[Array, "n m k"],
    valid: Bool[Array, "n m"] | None = None,
    *,
    most: int = 100,
    iou_threshold: Number = 0.5,
    score_threshold: Number = 0.05,
    candidates: int | None = 1000,
) -> Detections:
    """`detections` of boxes that have a score for each of k classes: every pair of box and class above the threshold.

    A class of the background is left out of `scores` before. The defaults are those of RetinaNet in torchvision, which
    takes 1000 candidates on each level.
    """
    n, m, k = scores.shape
    flat, pairs = scores.reshape(n, m * k), _all(scores[..., 0], valid)[..., None]
    ranked = jax.vmap(lambda scores, valid: _ranked(scores, valid, score_threshold))(
        flat, jnp.broadcast_to(pairs, scores.shape).reshape(flat.shape)
    )
    chosen = _best(ranked, candidates)
    valid = _taken(ranked, chosen) > -jnp.inf
    return _suppressed(
        _taken(boxes, chosen // k), _taken(flat, chosen), chosen % k, valid, most=most, iou_threshold=iou_threshold
    )


def _soft(
    boxes: Array,
    scores: Array,
    labels: Array | None,
    valid: Array | None,
    factor: Callable[[Array], Array],
    *,
    most: int | None,
    least: Number,
) -> Kept:
    within("[0, inf)", least=least)
    most = _places(most, scores)
    if not _some(scores):
        return _none(widened(scores), most)
    boxes, ranked, least = lax.stop_gradient((boxes, _ranked(scores, valid), jnp.asarray(least, jnp.float32)))
    indices, found = decayed(
        _columns(boxes, labels),
        ranked,
        lambda iou: factor(jnp.where(iou > 0, iou, 0)),
        least=least.astype(ranked.dtype),
        most=most,
    )
    valid = found > -jnp.inf
    return Kept(jnp.where(valid, indices, 0), jnp.where(valid, found, 0), valid)


def _suppressed(
    boxes: Array, scores: Array, labels: Array, valid: Array, *, most: int, iou_threshold: Number
) -> Detections:
    def each(boxes: Array, scores: Array, labels: Array, valid: Array) -> Detections:
        found = nms(boxes, scores, labels, valid, most=most, iou_threshold=iou_threshold)
        if not _some(scores):
            return Detections(jnp.zeros((most, 4), boxes.dtype), found.scores, found.indices, found.valid)
        own, label = boxes[found.indices], labels[found.indices].astype(jnp.int32)
        return Detections(
            jnp.where(found.valid[:, None], own, 0), found.scores, jnp.where(found.valid, label, 0), found.valid
        )

    return jax.vmap(each)(boxes, scores, labels, valid)


def _best(ranked: Array, candidates: int | None) -> Array:
    """Places of the `candidates` largest along the last axis, of all in order without a number."""
    at_least(1, candidates=candidates)
    n, size = ranked.shape
    if candidates is None or candidates >= size:
        return jnp.broadcast_to(jnp.arange(size, dtype=jnp.int32), (n, size))
    return lax.top_k(lax.stop_gradient(ranked), candidates)[1]


def _taken(x: Array, places: Array) -> Array:
    return jax.vmap(lambda x, places: x[places])(x, places)


def _all(scores: Array, valid: Array | None) -> Array:
    return jnp.ones(scores.shape, bool) if valid is None else valid


def _ranked(scores: Array, valid: Array | None, threshold: Number = -jnp.inf) -> Array:
    """The scores in float32, -inf where there is no box."""
    wide = widened(scores)
    counts = wide > threshold
    return jnp.where(counts if valid is None else counts & valid, wide, -jnp.inf)


def _columns(boxes: Array, labels: Array | None) -> Columns:
    return Columns(*jnp.unstack(widened(boxes), axis=1), label=None if labels is None else signed(labels))


def _places(most: int | None, scores: Array) -> int:
    if most is None:
        return scores.shape[0]
    at_least(1, most=most)
    return most


def _some(scores: Array) -> bool:
    return scores.shape[0] != 0


def _none(scores: Array, most: int) -> Kept:
    """No box at all."""
    return Kept(jnp.zeros(most, jnp.int32), jnp.zeros(most, scores.dtype), jnp.zeros(most, bool))
