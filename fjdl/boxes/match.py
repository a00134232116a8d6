"""Which object each anchor learns, and which anchors count: matches, samples and assignments of least cost.

Overlaps are `[objects, anchors]`, such as `pairwise_iou(boxes, anchors)`; an object that is not `valid` is padding and
matches nothing. A match is the number of an object, `BACKGROUND` or `BETWEEN`. Of equal overlaps the lower number wins.
"""

import jax
import jax.numpy as jnp
from jax import lax

from fjdl.checks import at_least, within
from fjdl.fused import fused
from fjdl.meshes import fori_loop
from fjdl.typing import Array, Bool, Float, Int, Integer, Number, PRNGKey, typed

BACKGROUND, BETWEEN = -1, -2


@typed
@fused
def match_by_threshold(
    overlaps: Float[Array, "objects anchors"],
    valid: Bool[Array, " objects"] | None = None,
    *,
    low: Number = 0.4,
    high: Number = 0.5,
    low_quality: bool = False,
) -> Int[Array, " anchors"]:
    """The object that each anchor overlaps most: from `high` on it matches, below `low` it is `BACKGROUND`.

    In between it is `BETWEEN`, and no loss should count it. With `low_quality` an anchor that no other overlaps more
    with some object matches too, whatever the overlap: the object that it overlaps most itself, as in torchvision.
    An overlap of NaN counts as 0. RetinaNet has 0.4, 0.5 and `low_quality`; the first stage of Faster R-CNN 0.3, 0.7
    and `low_quality`; its second 0.5 and 0.5 without.

    Equals torchvision's `Matcher`, except that an object that no anchor overlaps, such as one without area, gets no
    match, where torchvision then gives one to every anchor that it does not overlap. Without objects all is background.
    Raises `ValueError` unless 0 <= low <= high <= 1.

    >>> match_by_threshold(jnp.array([[0.6, 0.45, 0.1], [0.0, 0.2, 0.3]]))
    Array([ 0, -2, -1], dtype=int32)
    >>> match_by_threshold(jnp.array([[0.6, 0.45, 0.1], [0.0, 0.2, 0.3]]), low_quality=True)
    Array([ 0, -2,  1], dtype=int32)
    """
    within("[0, 1]", low=low, high=high)
    if isinstance(low, float | int) and isinstance(high, float | int) and low > high:
        raise ValueError(f"low must be at most high, got {low} and {high}")
    overlaps = _counted(overlaps, valid)
    if overlaps.shape[0] == 0:
        return jnp.full(overlaps.shape[1], BACKGROUND, jnp.int32)
    best, most = jnp.argmax(overlaps, axis=0).astype(jnp.int32), jnp.max(overlaps, axis=0)
    matches = jnp.where(most >= high, best, jnp.where(most < low, BACKGROUND, BETWEEN))
    if not low_quality:
        return matches
    nearest = jnp.max(overlaps, axis=1, keepdims=True, initial=0)
    return jnp.where(jnp.any((overlaps == nearest) & (nearest > 0), axis=0), best, matches)


@typed
@fused
def match_bipartite(
    overlaps: Float[Array, "objects anchors"], valid: Bool[Array, " objects"] | None = None, *, threshold: Number = 0.5
) -> Int[Array, " anchors"]:
    """SSD's matches: first an anchor of its own for each object, then each anchor with an overlap from the threshold.

    The first part takes, as often as there are objects, the largest overlap between an object and an anchor that are
    both free; 0 is none. Liu et al. 2016, arXiv:1512.02325, §2.2. Others are `BACKGROUND`.
    Raises `ValueError` for a threshold outside of [0, 1].

    >>> match_bipartite(jnp.array([[0.6, 0.4, 0.1], [0.5, 0.3, 0.0]]))
    Array([ 0,  1, -1], dtype=int32)
    """
    within("[0, 1]", threshold=threshold)
    overlaps = _counted(overlaps, valid)
    objects, anchors = overlaps.shape
    matches = match_by_threshold(overlaps, low=threshold, high=threshold)
    if objects == 0 or anchors == 0:
        return matches

    def step(_: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        free, matches = carry
        place = jnp.argmax(free).astype(jnp.int32)
        row, column = jnp.arange(objects) == place // anchors, jnp.arange(anchors) == place % anchors
        found = jnp.max(free) > 0
        matches = jnp.where(column & found, place // anchors, matches)
        return jnp.where(row[:, None] | column[None], 0, free), matches

    return fori_loop(0, objects, step, (overlaps, matches))[1]


@typed
def sample_balanced(
    key: PRNGKey, matches: Integer[Array, " anchors"], *, size: int, positive_fraction: float = 0.5
) -> tuple[Bool[Array, " anchors"], Bool[Array, " anchors"]]:
    """Which anchors with an object and which of the background count: `size` of them together, drawn without return.

    At most `⌊size · positive_fraction⌋` have an object; the background fills what they leave, as far as there is any.
    Equals torchvision's `BalancedPositiveNegativeSampler`. Faster R-CNN draws 256 at 0.5 in its first stage, 512 at
    0.25 in its second. Raises `ValueError` for a fraction outside of [0, 1].
    """
    at_least(1, size=size)
    within("[0, 1]", positive_fraction=positive_fraction)
    numbers = jnp.arange(matches.shape[0], dtype=jnp.int32)
    drawn = jax.random.bits(key, matches.shape, jnp.uint32)
    _, order, shuffled = lax.sort((drawn, numbers, jnp.asarray(matches).astype(jnp.int32)), num_keys=2)
    positive, negative = shuffled >= 0, shuffled == BACKGROUND
    positive &= jnp.cumsum(positive.astype(jnp.int32)) <= int(size * positive_fraction)
    negative &= jnp.cumsum(negative.astype(jnp.int32)) <= size - jnp.sum(positive, dtype=jnp.int32)
    _, positive, negative = lax.sort((order, positive, negative), num_keys=1)
    return positive, negative


@typed
@fused
def hard_negatives(
    losses: Float[Array, " anchors"], matches: Integer[Array, " anchors"], *, ratio: float = 3.0, least: int = 0
) -> Bool[Array, " anchors"]:
    """The anchors of the background with the largest losses, `ratio` times as many as have an object.

    At least `least` of them where there are so many; of equal losses the lower number, and NaN comes last. Liu et al.
    2016 (SSD), arXiv:1512.02325, §2.2. Raises `ValueError` for a negative ratio.

    >>> hard_negatives(jnp.array([5.0, 1.0, 3.0, 2.0]), jnp.array([0, -1, -1, -1]), ratio=2.0)
    Array([False, False,  True,  True], dtype=bool)
    """
    within("[0, inf)", ratio=ratio)
    at_least(0, least=least)
    matches = jnp.asarray(matches).astype(jnp.int32)
    wanted = jnp.maximum(jnp.floor(ratio * jnp.sum(matches >= 0, dtype=jnp.float32)), least).astype(jnp.int32)
    background = matches == BACKGROUND
    ranked = jnp.where(background & ~jnp.isnan(losses), lax.stop_gradient(losses), -jnp.inf)
    numbers = jnp.arange(matches.shape[0], dtype=jnp.int32)
    _, order, ordered = lax.sort((-ranked, numbers, background), num_keys=2)
    chosen = ordered & (jnp.cumsum(ordered.astype(jnp.int32)) <= wanted)
    return lax.sort((order, chosen), num_keys=1)[1]


def _counted(overlaps: Array, valid: Array | None) -> Array:
    """Overlaps without NaN, -1 of objects that do not count."""
    overlaps = lax.stop_gradient(jnp.where(jnp.isnan(overlaps), 0, overlaps))
    return overlaps if valid is None else jnp.where(valid[:, None], overlaps, -1)
