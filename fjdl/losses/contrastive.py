"""Contrastive losses on embeddings, one value per pair or anchor."""

import jax
import jax.numpy as jnp

from fjdl.checks import within
from fjdl.fused import fused
from fjdl.losses.classification import soft_cross_entropy, softmax_cross_entropy
from fjdl.numerics import norm, safe_divide, unit, widened
from fjdl.typing import Array, Bool, Float, Integer, Num, Number, typed


@typed
@fused
def contrastive_loss(
    a: Float[Array, "*batch d"], b: Float[Array, "*batch d"], same: Bool[Array, "*batch"], *, margin: Number = 1.0
) -> Float[Array, "*batch"]:
    """`d²/2` for pairs that are the same and `max(0, margin - d)²/2` for all others, with the distance `d` of a pair.

    `D² / 2` where `same`, else `max(margin - D, 0)² / 2` with the Euclidean distance D. At D = 0 the gradient is 0, so
    two different examples of equal embedding are not pushed apart.
    Hadsell et al. 2006, eq. 4, whose Y is 1 for pairs that are not the same.

    >>> contrastive_loss(jnp.array([[0.0, 0.0]]), jnp.array([[0.6, 0.8]]), jnp.array([True]))
    Array([0.5], dtype=float32)
    """
    within("[0, inf)", margin=margin)
    distance = norm(widened(a) - widened(b))[..., 0]
    lacking = margin - distance
    return jnp.square(jnp.where(same, distance, jnp.where(lacking <= 0, 0, lacking))) / 2


@typed
@fused
def nt_xent_loss(
    a: Float[Array, "n d"],
    b: Float[Array, "n d"],
    *,
    temperature: Number = 0.5,
    mask: Bool[Array, "n"] | Num[Array, "n"] | None = None,
) -> Float[Array, "n"]:
    """Cross entropy of finding the other view of an example among all 2n - 1, in nats, the mean of both directions.

    `-log exp(cos(zᵢ, zⱼ)/τ) / Σ_{k≠i} exp(cos(zᵢ, zₖ)/τ)` for the views i and j of one example, averaged over (i, j)
    and (j, i), so that the mean over n examples is the loss of SimCLR. An example that `mask` leaves out is neither
    anchor nor negative and costs 0; an example alone costs 0. A zero embedding has cosine 0 with all, and no gradient.
    Chen et al. 2020, arXiv:2002.05709, eq. 1; Sohn 2016. Equals `optax.losses.ntxent` with labels that pair the views.
    """
    views = jnp.concatenate([widened(a), widened(b)])
    n = a.shape[0]
    keep = _kept(2 * n, None if mask is None else jnp.tile(jnp.asarray(mask), 2))
    logits = _similarities(views, keep, temperature)
    values = softmax_cross_entropy(logits, jnp.roll(jnp.arange(2 * n), n))
    return jnp.mean(jnp.where(keep, values, 0).reshape(2, n), axis=0)


@typed
@fused
def supervised_contrastive_loss(
    embeddings: Float[Array, "n d"],
    labels: Integer[Array, "n"],
    *,
    temperature: Number = 0.1,
    mask: Bool[Array, "n"] | Num[Array, "n"] | None = None,
) -> Float[Array, "n"]:
    """Cross entropy of finding the rows of one's class among all others, in nats, one per anchor.

    `-1/|P(i)| Σ_{p∈P(i)} log exp(cos(zᵢ, zₚ)/τ) / Σ_{k≠i} exp(cos(zᵢ, zₖ)/τ)` over the other rows P(i) of the anchor's
    class. An anchor without such a row costs 0 with zero gradient; `mean(values, mask=has_positive(labels))` leaves it
    out of the mean. Rows that `mask` leaves out are neither anchor, positive nor negative and cost 0. A zero embedding
    has cosine 0 with all, and no gradient. Khosla et al. 2020, arXiv:2004.11362, eq. 2, without the factor τ/τ_base.
    """
    keep = _kept(labels.shape[0], mask)
    positives = _positives(labels, keep)
    count = jnp.sum(positives, axis=1, keepdims=True)
    logits = _similarities(widened(embeddings), keep, temperature)
    targets = safe_divide(positives.astype(logits.dtype), count.astype(logits.dtype))
    return jnp.where(keep, soft_cross_entropy(logits, targets), 0)


@typed
@fused
def has_positive(
    labels: Integer[Array, "n"], *, mask: Bool[Array, "n"] | Num[Array, "n"] | None = None
) -> Bool[Array, "n"]:
    """Which rows have another row of the same label, among those that `mask` keeps: `∃ j ≠ i: labelⱼ = labelᵢ`.

    >>> has_positive(jnp.array([0, 1, 0]))
    Array([ True, False,  True], dtype=bool)
    """
    return jnp.any(_positives(labels, _kept(labels.shape[0], mask)), axis=1)


def _kept(n: int, mask: Bool[Array, "n"] | Num[Array, "n"] | None) -> Bool[Array, "n"]:
    return jnp.ones(n, bool) if mask is None else jnp.asarray(mask) != 0


def _positives(labels: Integer[Array, "n"], keep: Bool[Array, "n"]) -> Bool[Array, "n n"]:
    labels = jnp.asarray(labels)
    same = labels[:, None] == labels[None]
    return same & keep[:, None] & keep[None] & ~jnp.eye(labels.shape[0], dtype=bool)


def _similarities(x: Float[Array, "n d"], keep: Bool[Array, "n"], temperature: Number) -> Float[Array, "n n"]:
    """Cosines over the temperature; -inf of a row with itself and of a kept row with one that is not."""
    within("(0, inf)", temperature=temperature)
    x = unit(jnp.where(keep[:, None], x, 0))
    cosines = jnp.matmul(x, x.T, precision=jax.lax.Precision.HIGHEST)
    itself = jnp.eye(x.shape[0], dtype=bool)
    return jnp.where(itself | (keep[:, None] & ~keep[None]), -jnp.inf, cosines / temperature)
