"""Which boxes remain after each, in the order of scores, removed or weakened those that it overlaps.

A step of a loop costs a TPU about 13,000 cycles whatever it does, so the number of steps decides there. With 10,000
boxes of which 100 are kept, a scan over boxes takes 104 million cycles, 100 rounds of `by_rounds` 1.6 million, and the
blocks of `by_blocks` 1.9 million; with 1000 boxes it is 1.3 million against 0.12 (libtpu 0.0.42). A CPU does best with
one pass over all boxes for each that is kept: 10,000 boxes of which 4,128 remain take it 30 ms (jaxlib 0.10.2).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from fjdl.geometry import certain
from fjdl.meshes import while_loop
from fjdl.platforms import by_platform
from fjdl.typing import Array

BLOCK = 512
_ROUND, _OF_BLOCK = (12_800, 0.29), (76_000, 3.9)  # cycles of a round and of a block: at once, and for each box


class Columns(NamedTuple):
    """Boxes as vectors of one length, so that no axis of 4 numbers is padded to the lanes of a machine."""

    x0: Array
    y0: Array
    x1: Array
    y1: Array
    label: Array | None  # boxes of different labels do not overlap

    def map(self, function: Callable[[Array], Array]) -> "Columns":
        """The function of each vector."""
        label = None if self.label is None else function(self.label)
        return Columns(*(function(x) for x in self.arrays()[:4]), label=label)

    def arrays(self) -> tuple[Array, ...]:
        """The vectors that there are."""
        return (*self[:4], *(() if self.label is None else (self.label,)))


def kept(boxes: Columns, scores: Array, threshold: Array, *, most: int) -> Array:
    """Numbers of the first `most` boxes that no better kept box overlaps by more than `threshold`, the best first.

    The number of boxes stands where there are fewer. Boxes with the score -inf are none; of equal scores that of lower
    number comes first. No score is NaN.
    """
    cpu, elsewhere = partial(one_by_one, most=most), partial(_cheapest(scores.shape[0], most), most=most)
    return by_platform(boxes, scores, threshold, cpu=cpu, elsewhere=elsewhere)


def one_by_one(boxes: Columns, scores: Array, threshold: Array, *, most: int) -> Array:
    """Sorted first; then one pass over all boxes for each that is kept."""
    n = scores.shape[0]
    order = jnp.argsort(scores, descending=True, stable=True).astype(jnp.int32)
    boxes, places = boxes.map(lambda x: x[order]), jnp.arange(n, dtype=jnp.int32)

    def step(carry: Any) -> Any:
        alive, place, count, found = carry
        alive = alive & (places > place) & ~(overlaps(_at(boxes, place), boxes) > threshold)
        found = lax.dynamic_update_index_in_dim(found, place, count, 0)
        return alive, jnp.min(jnp.where(alive, places, n), initial=n), count + 1, found

    alive = scores[order] > -jnp.inf
    first = jnp.where(alive[0], 0, n).astype(jnp.int32)
    start = alive, first, jnp.int32(0), jnp.full(most, n, jnp.int32)
    *_, found = while_loop(lambda carry: (carry[1] < n) & (carry[2] < most), step, start)
    return _numbers(order, found)


def by_blocks(boxes: Columns, scores: Array, threshold: Array, *, most: int, block: int = BLOCK) -> Array:
    """Sorted first; then a block at a time, which first settles its own boxes and then removes later ones.

    Within a block those that no kept one before overlaps are found as a fixed point, in as many rounds as the longest
    chain of boxes that remove each other.
    """
    n = scores.shape[0]
    block = min(block, n)
    blocks = -(-n // block)
    numbers = jnp.arange(n, dtype=jnp.int32)
    ordered = lax.sort((-scores, numbers, *boxes.arrays()), num_keys=1, is_stable=True)
    alive, order = ordered[0] < jnp.inf, ordered[1]
    padding = [(0, blocks * block - n)]
    x0, y0, x1, y1, *label = (jnp.pad(x, padding) for x in ordered[2:])
    boxes = Columns(x0, y0, x1, y1, label=label[0] if label else None)
    places, within = jnp.arange(blocks * block, dtype=jnp.int32), jnp.arange(block, dtype=jnp.int32)

    def step(carry: Any) -> Any:
        alive, number, count = carry
        own = boxes.map(lambda x: lax.dynamic_slice_in_dim(x, number * block, block)[:, None])
        removes = (overlaps(own, own.map(jnp.transpose)) > threshold) & (within[:, None] < within[None])
        remaining = _settled(lax.dynamic_slice_in_dim(alive, number * block, block), removes)
        removed = jnp.any((overlaps(own, boxes.map(lambda x: x[None])) > threshold) & remaining[:, None], axis=0)
        alive = alive & ~(removed & (places >= (number + 1) * block))
        alive = lax.dynamic_update_slice_in_dim(alive, remaining, number * block, 0)
        return alive, number + 1, count + jnp.sum(remaining, dtype=jnp.int32)

    start = jnp.pad(alive, padding), jnp.int32(0), jnp.int32(0)
    alive, reached, _ = while_loop(lambda carry: (carry[1] < blocks) & (carry[2] < most), step, start)
    alive = alive & (places < reached * block)
    found = jnp.sort(jnp.where(alive, places, n))[:most]
    return _numbers(order, jnp.pad(found, [(0, most - found.shape[0])], constant_values=n))


def by_rounds(boxes: Columns, scores: Array, threshold: Array, *, most: int) -> Array:
    """Without sorting: as many times the best of what remains, which then removes what it overlaps."""
    return decayed(boxes, scores, lambda iou: jnp.where(iou > threshold, 0.0, 1.0), least=-jnp.inf, most=most)[0]


def decayed(
    boxes: Columns, scores: Array, factor: Callable[[Array], Array], *, least: Array | float, most: int
) -> tuple[Array, Array]:
    """Numbers and scores of `most` boxes; each time the best of what remains, which then weakens what it overlaps.

    Scores are multiplied by a `factor` of the overlap; 0 removes a box, as does a score of at most `least`. Where there
    are fewer, the number of boxes and the score -inf stand.
    """
    n = scores.shape[0]

    def step(carry: Any) -> Any:
        scores, count, numbers, found = carry
        best = jnp.argmax(scores).astype(jnp.int32)
        numbers = lax.dynamic_update_index_in_dim(numbers, best, count, 0)
        found = lax.dynamic_update_index_in_dim(found, lax.dynamic_index_in_dim(scores, best, keepdims=False), count, 0)
        weight = factor(overlaps(_at(boxes, best), boxes))
        lower = jnp.where(weight == 1, scores, scores * weight)
        gone = (jnp.arange(n, dtype=jnp.int32) == best) | (weight == 0) | ~(lower > least)
        return jnp.where(gone, -jnp.inf, lower), count + 1, numbers, found

    scores = jnp.where(scores > least, scores, -jnp.inf)
    start = scores, jnp.int32(0), jnp.full(most, n, jnp.int32), jnp.full(most, -jnp.inf, scores.dtype)
    *_, numbers, found = while_loop(lambda carry: (carry[1] < most) & jnp.any(carry[0] > -jnp.inf), step, start)
    return numbers, found


def overlaps(a: Columns, b: Columns) -> Array:
    """Intersection over union, NaN of two boxes without area; 0 of boxes that have different labels."""
    width = _length(jnp.maximum(a.x0, b.x0), jnp.minimum(a.x1, b.x1))
    shared = width * _length(jnp.maximum(a.y0, b.y0), jnp.minimum(a.y1, b.y1))
    iou = shared / (_area(a) + _area(b) - shared)
    return iou if a.label is None else jnp.where(a.label == b.label, iou, 0)


def _settled(alive: Array, removes: Array) -> Array:
    """Which boxes are removed by none that remains itself, where `removes[i, j]` says that i would remove j > i."""

    def step(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        remaining, _ = carry
        return alive & ~jnp.any(removes & remaining[:, None], axis=0), remaining

    return while_loop(lambda carry: jnp.any(carry[0] != carry[1]), step, step((alive, alive)))[0]


def _cheapest(n: int, most: int) -> Callable[..., Array]:
    """The form with the lower estimate of cycles on a TPU; rounds where the number of boxes is left open."""

    def fewer_in_blocks() -> bool:
        return -(-n // BLOCK) * (_OF_BLOCK[0] + _OF_BLOCK[1] * n) < most * (_ROUND[0] + _ROUND[1] * n)

    return by_blocks if isinstance(n, int) and certain(fewer_in_blocks) else by_rounds


def _numbers(order: Array, places: Array) -> Array:
    """The numbers of boxes at places of the order, and that of all boxes where the place lies behind."""
    n = order.shape[0]
    return jnp.where(places < n, order[jnp.minimum(places, n - 1)], n)


def _at(boxes: Columns, place: Array) -> Columns:
    return boxes.map(lambda x: lax.dynamic_index_in_dim(x, place, keepdims=False))


def _area(boxes: Columns) -> Array:
    return _length(boxes.x0, boxes.x1) * _length(boxes.y0, boxes.y1)


def _length(low: Array, high: Array) -> Array:
    return jnp.maximum(high - low, 0)
