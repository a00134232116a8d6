"""What a classifier gets wrong, and by how much more outside of its training data."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fjdl.metrics.base import Weights, selection
from fjdl.metrics.classification.streaming import predicted_class, within_top_k
from fjdl.numerics import below_largest, widened
from fjdl.typing import Array, Float, Integer, Num, typed


class Mistakes(NamedTuple):
    """Examples with a wrong prediction: where they are, the prediction, its probability, and which entries are any."""

    indices: Array
    predictions: Array
    confidences: Array
    valid: Array


@typed
def misclassified(
    logits: Float[Array, "n classes"], labels: Integer[Array, " n"], *, k: int, weights: Weights = None
) -> Mistakes:
    """The `k` most confident mistakes, most confident first; at equal confidence the lower index first.

    An example is a mistake where `accuracy` does not count it as correct and its weight, a boolean or 0 or 1, lets it
    count. The prediction is `predicted_class`, the confidence its softmax probability in (0, 1]; the order still tells
    apart what rounds to 1. Rows without a softmax, that hold NaN or only -inf, have the confidence NaN and come first.
    Entries beyond the last mistake are not `valid`: index and prediction -1, confidence 0.
    """
    if not 1 <= k <= labels.shape[0]:
        raise ValueError(f"k must lie in [1, {labels.shape[0]}], the number of examples, got {k}")
    chosen, proper = selection(weights, labels.shape)
    mistake = chosen & ~within_top_k(logits, labels, k=1)
    predictions, others = predicted_class(logits), _odds_against(logits)
    urgency = jnp.where(jnp.isnan(others), jnp.inf, -others)
    urgency, indices = jax.lax.top_k(jnp.where(mistake, urgency, -jnp.inf), k)
    valid = urgency > -jnp.inf
    return Mistakes(
        jnp.where(valid, indices, -1),
        jnp.where(valid, predictions[indices], -1),
        jnp.where(proper, jnp.where(valid, 1 / (1 + others[indices]), 0), jnp.nan),
        valid,
    )


@typed
def generalization_gap(
    error_in: Num[Array, "*shape"] | float, error_out: Num[Array, "*shape"] | float
) -> Float[Array, "*shape"]:
    """Error on new data less error on the training data, `E_out - E_in`; positive where training data fit better."""
    return widened(jnp.asarray(error_out)) - widened(jnp.asarray(error_in))


def _odds_against(logits: Float[Array, "n classes"]) -> Float[Array, " n"]:
    """Odds against the predicted class, `Σ exp(xⱼ - max x)` over all others; they keep digits near 0."""
    shifted = below_largest(widened(logits), axis=-1)
    own = jnp.argmax(logits, axis=-1, keepdims=True) == jnp.arange(logits.shape[-1])[None, :]
    odds = jnp.sum(jnp.where(own, 0, jnp.exp(shifted)), axis=-1)
    undefined = jnp.any(jnp.isnan(logits), axis=-1) | jnp.all(logits == -jnp.inf, axis=-1)
    return jnp.where(undefined, jnp.nan, odds)
