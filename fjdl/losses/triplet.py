"""Triplet loss, and the mining of its triplets within a batch of embeddings."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fjdl.checks import at_least, within
from fjdl.fused import fused
from fjdl.numerics import norm, widened
from fjdl.typing import Array, Bool, Float, Integer, Num, Number, typed


class Triplets(NamedTuple):
    """Rows of a batch: of the anchor, of one of its class, of one of another class; and which triplets are meant."""

    anchor: Integer[Array, "m"]
    positive: Integer[Array, "m"]
    negative: Integer[Array, "m"]
    valid: Bool[Array, "m"]


@typed
@fused
def triplet_margin_loss(
    anchor: Float[Array, "*batch d"],
    positive: Float[Array, "*batch d"],
    negative: Float[Array, "*batch d"],
    *,
    margin: Number = 1.0,
    p: float = 2.0,
    squared: bool = False,
) -> Float[Array, "*batch"]:
    """Hinge on two distances, `max(d(anchor, positive) - d(anchor, negative) + margin, 0)`, one per triplet.

    `d` is the p-norm of the difference, p ≥ 1, or its square: Schroff et al. 2015, arXiv:1503.03832, take squared
    distances and margin 0.2, Balntas et al. 2016 the plain ones. A distance of 0 and a hinge at exactly 0 have zero
    gradient. For mined triplets: `mean(triplet_margin_loss(x[t.anchor], x[t.positive], x[t.negative]), mask=t.valid)`.
    Equals `torch.nn.functional.triplet_margin_loss(eps=0, reduction="none")`; PyTorch adds 1e-6 to every difference.

    >>> triplet_margin_loss(jnp.array([[0.0]]), jnp.array([[1.0]]), jnp.array([[1.5]]))
    Array([0.5], dtype=float32)
    """
    within("[0, inf)", margin=margin)
    at_least(1, p=p)
    anchor = widened(anchor)
    near, far = (_norm(anchor - widened(other), p) for other in (positive, negative))
    excess = (near * near - far * far if squared else near - far) + margin
    return jnp.where(excess <= 0, 0, excess)


@typed
@fused
def hard_triplets(
    embeddings: Float[Array, "n d"],
    labels: Integer[Array, "n"],
    *,
    mask: Bool[Array, "n"] | Num[Array, "n"] | None = None,
) -> Triplets:
    """For each anchor, the farthest row of its class and the nearest row of another class: n triplets, "batch hard".

    Not valid are anchors without another row of their class or without a row of another one, and rows that `mask`
    leaves out, which are in no triplet. Of ties the first row is taken. No gradient flows through the choice.
    Time grows as n² d. Hermans et al. 2017, arXiv:1703.07737, eq. 5.
    """
    distances = _squared_distances(embeddings)
    positives, negatives = _pairs(labels, mask)
    positive = _argmax(jnp.where(positives, distances, -jnp.inf))
    negative = _argmax(jnp.where(negatives, -distances, -jnp.inf))
    valid = jnp.any(positives, axis=1) & jnp.any(negatives, axis=1)
    return Triplets(jnp.arange(labels.shape[0]), positive, negative, valid)


@typed
@fused
def semi_hard_triplets(
    embeddings: Float[Array, "n d"],
    labels: Integer[Array, "n"],
    *,
    margin: Number = 1.0,
    squared: bool = False,
    mask: Bool[Array, "n"] | Num[Array, "n"] | None = None,
) -> Triplets:
    """For each anchor and positive, the nearest negative beyond that positive and within the margin: n² triplets.

    Valid are the pairs of one class that have such a negative, `d(a, p) < d(a, n) < d(a, p) + margin`, with Euclidean
    or squared distances as in `triplet_margin_loss`; where no negative is that near the loss would be 0, and where all
    are nearer than the positive the pair is left out. Rows that `mask` leaves out are in no triplet. Of ties the first
    row is taken. No gradient flows through the choice. Time grows as n² (d + log n).
    Schroff et al. 2015 (FaceNet), arXiv:1503.03832, §3.2, where `squared=True, margin=0.2`.
    """
    within("[0, inf)", margin=margin)
    n = labels.shape[0]
    squares = _squared_distances(embeddings)
    distances = squares if squared else jnp.sqrt(squares)
    positives, negatives = _pairs(labels, mask)
    nearest, rows = _sorted_rows(jnp.where(negatives, distances, jnp.inf))
    beyond = jax.vmap(lambda row, values: jnp.searchsorted(row, values, side="right"))(nearest, distances)
    beyond = jnp.minimum(beyond, max(n - 1, 0))
    far = jnp.take_along_axis(nearest, beyond, axis=1)
    valid = positives & (far > distances) & (far < distances + margin)
    anchor, positive = jnp.indices((n, n))
    negative = jnp.take_along_axis(rows, beyond, axis=1)
    return Triplets(*(x.reshape(-1) for x in (anchor, positive, negative, valid)))


def _norm(x: Float[Array, "*batch d"], p: float) -> Float[Array, "*batch"]:
    """The p-norm of the last axis, with zero gradient at 0 and without overflow of powers."""
    if p == 2:
        return norm(x)[..., 0]
    size = jnp.where(x == 0, 0, jnp.abs(x))
    if p == 1:
        return jnp.sum(size, axis=-1)
    largest = jnp.max(size, axis=-1, initial=0)
    return largest if p == float("inf") else _scaled_norm(size, jax.lax.stop_gradient(largest), p)


def _scaled_norm(size: Float[Array, "*batch d"], scale: Float[Array, "*batch"], p: float) -> Float[Array, "*batch"]:
    zero = scale == 0
    scale = jnp.where(zero, 1, scale)
    ratio = size / scale[..., None]
    total = jnp.sum(jnp.where(ratio == 0, 0, jnp.where(ratio == 0, 1, ratio) ** p), axis=-1)
    return jnp.where(zero, 0, scale * jnp.where(zero, 1, total) ** (1 / p))


def _squared_distances(embeddings: Float[Array, "n d"]) -> Float[Array, "n n"]:
    """Sums of squared differences: a product of matrices would be faster, but cancels and breaks ties."""
    x = jax.lax.stop_gradient(widened(embeddings))
    return jnp.sum(jnp.square(x[:, None] - x[None]), axis=-1)


def _pairs(
    labels: Integer[Array, "n"], mask: Bool[Array, "n"] | Num[Array, "n"] | None
) -> tuple[Bool[Array, "n n"], Bool[Array, "n n"]]:
    """Which rows are the positives and the negatives of each row."""
    labels = jnp.asarray(labels)
    keep = jnp.ones(labels.shape, bool) if mask is None else jnp.asarray(mask) != 0
    both = keep[:, None] & keep[None]
    same = labels[:, None] == labels[None]
    return both & same & ~jnp.eye(labels.shape[0], dtype=bool), both & ~same


def _argmax(values: Float[Array, "n n"]) -> Integer[Array, "n"]:
    return jnp.argmax(values, axis=1) if values.size else jnp.zeros(0, jnp.int32)


def _sorted_rows(values: Float[Array, "n n"]) -> tuple[Float[Array, "n n"], Integer[Array, "n n"]]:
    """Each row in ascending order, and where its values stood."""
    order = jax.lax.broadcasted_iota(jnp.int32, values.shape, 1)
    ascending, order = jax.lax.sort((values, order), dimension=1, num_keys=1)
    return ascending, order
