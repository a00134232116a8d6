"""Hinge losses, which ask for a margin between scores; at the margin itself every gradient is 0."""

import jax.numpy as jnp

from fjdl.checks import one_of
from fjdl.fused import fused
from fjdl.losses.labels import at_label, nan_unless, one_hot
from fjdl.numerics import widened
from fjdl.typing import Array, Bool, Float, Integer, Num, Number, typed

Signs = Bool[Array, "*shape"] | Num[Array, "*shape"]


@typed
@fused
def hinge_loss(scores: Float[Array, "*shape"], targets: Signs) -> Float[Array, "*shape"]:
    """Hinge loss, one per score: `max(0, 1 - s)` for positive targets, `max(0, 1 + s)` for all others.

    A target is positive above 0, so 0/1 and -1/+1 mean the same; a NaN stays NaN. Cortes & Vapnik 1995. Equals
    `sklearn.metrics.hinge_loss` in the mean.

    >>> hinge_loss(jnp.array([0.5, 0.5, 3.0]), jnp.array([1, -1, 1]))
    Array([0.5, 1.5, 0. ], dtype=float32)
    """
    return _positive_part(1 - _sign(targets, scores) * widened(scores))


@typed
@fused
def squared_hinge_loss(scores: Float[Array, "*shape"], targets: Signs) -> Float[Array, "*shape"]:
    """Squared hinge loss, one per score: `max(0, 1 - s)²` for positive targets, `max(0, 1 + s)²` for all others.

    Targets are those of `hinge_loss`. Its slope is continuous.

    >>> squared_hinge_loss(jnp.array([0.5, 0.5, 3.0]), jnp.array([1, -1, 1]))
    Array([0.25, 2.25, 0.  ], dtype=float32)
    """
    return jnp.square(hinge_loss(scores, targets))


@typed
@fused
def crammer_singer_loss(
    logits: Float[Array, "*batch k"], labels: Integer[Array, "*batch"], *, margin: Number = 1.0
) -> Float[Array, "*batch"]:
    """Multi-class hinge loss of the strongest rival, one per example: `max(0, margin - x[y] + max_{j≠y} x_j)`.

    Rivals that are equal share the gradient. With one class there is no rival and the loss is 0. A label outside
    [0, k) has value and gradient NaN. Crammer & Singer 2001. Equals `sklearn.metrics.hinge_loss` in the mean.

    >>> crammer_singer_loss(jnp.array([[1.0, 2.0]]), jnp.array([0]))
    Array([2.], dtype=float32)
    """
    logits = widened(logits)
    in_range, hits = one_hot(labels, logits.shape[-1])
    own = at_label(logits, in_range, hits)
    rival = jnp.max(jnp.where(hits, -jnp.inf, logits), axis=-1, initial=-jnp.inf)
    return nan_unless(in_range, jnp.where(in_range, _positive_part(margin - own + rival), own))


@typed
@fused
def multi_margin_loss(
    logits: Float[Array, "*batch k"], labels: Integer[Array, "*batch"], *, margin: Number = 1.0, p: int = 1
) -> Float[Array, "*batch"]:
    """Multi-class hinge loss of all rivals, one per example: `1/k Σ_{j≠y} max(0, margin - x[y] + x_j)^p`.

    `p` is 1 or 2. A label outside [0, k) has value and gradient NaN. Weston & Watkins 1999. Equals
    `torch.nn.functional.multi_margin_loss(p=p, margin=margin, reduction="none")`.

    >>> multi_margin_loss(jnp.array([[1.0, 2.0]]), jnp.array([0]))
    Array([1.], dtype=float32)
    """
    one_of((1, 2), p=p)
    logits = widened(logits)
    in_range, hits = one_hot(labels, logits.shape[-1])
    own = at_label(logits, in_range, hits)
    deficits = _positive_part(jnp.where(hits, 0, margin - own[..., None] + logits))
    values = jnp.mean(deficits if p == 1 else jnp.square(deficits), axis=-1)
    return nan_unless(in_range, jnp.where(in_range, values, own))


def _positive_part(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`max(x, 0)` with gradient 0 at 0; a NaN stays NaN."""
    return jnp.where(x <= 0, 0, x)


def _sign(targets: Signs, scores: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    targets = widened(targets)
    return jnp.where(targets > 0, 1, jnp.where(targets <= 0, -1, targets)).astype(widened(scores).dtype)
