"""Which labels are likely wrong, by what a model is sure of: confident learning."""

import jax.numpy as jnp

from fjdl.numerics import safe_divide, signed, widened
from fjdl.typing import Array, Bool, Float, Int, Integer, typed

_ROUNDING = 1e-6  # of a mean of probabilities


@typed
def confident_joint(
    probabilities: Float[Array, "n classes"], labels: Integer[Array, " n"]
) -> Int[Array, "classes classes"]:
    """Number of examples by label (row) and by the class that the model is sure of (column).

    The model is sure of a class where its probability reaches the mean probability of that class among the examples
    labelled with it; of several such classes the most probable one counts, the lowest of equals. An example without
    such a class, with a NaN, or whose label is outside [0, classes) counts nowhere, and no example counts for a class
    that no label names. Probabilities must come from a model that has not learned these labels. Off the diagonal are
    the `label_suspects`. Northcutt et al. 2021, arXiv:1911.00068, (1) and (2); equals
    `cleanlab.count.compute_confident_joint(calibrate=False)`.

    >>> confident_joint(jnp.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9], [0.1, 0.9]]), jnp.array([0, 0, 1, 1]))
    Array([[1, 0],
           [0, 2]], dtype=int32)
    """
    own, sure, found = _sure(widened(probabilities), labels)
    pairs = own & found[:, None]
    return jnp.einsum("ni,nj->ij", pairs.astype(jnp.int32), _chosen(sure).astype(jnp.int32))


@typed
def label_suspects(probabilities: Float[Array, "n classes"], labels: Integer[Array, " n"]) -> Bool[Array, " n"]:
    """Whether the model is sure of another class than the label, as `confident_joint` counts it.

    Look at them by rising probability of the label. Equals `cleanlab.filter.find_label_issues` with
    `filter_by="confident_learning"`.

    >>> label_suspects(jnp.array([[0.9, 0.1], [0.1, 0.9], [0.1, 0.9], [0.2, 0.8]]), jnp.array([0, 0, 1, 1]))
    Array([False,  True, False, False], dtype=bool)
    """
    own, sure, found = _sure(widened(probabilities), labels)
    return found & jnp.any(own, axis=1) & ~jnp.any(own & _chosen(sure), axis=1)


def _sure(probabilities: Array, labels: Array) -> tuple[Array, Array, Array]:
    """The label as booleans, the probabilities of classes that reach their threshold, -1 elsewhere, and if any do."""
    own = signed(labels)[:, None] == jnp.arange(probabilities.shape[1], dtype=jnp.int32)[None, :]
    proper = ~jnp.any(jnp.isnan(probabilities), axis=1, keepdims=True)
    counted = own & proper
    total = jnp.sum(jnp.where(counted, probabilities, 0), axis=0)
    threshold = safe_divide(total, jnp.sum(counted, axis=0).astype(total.dtype), otherwise=jnp.inf)
    reached = proper & (probabilities >= threshold[None, :] - _ROUNDING)
    return own, jnp.where(reached, probabilities, -1), jnp.any(reached, axis=1)


def _chosen(sure: Array) -> Array:
    """The most probable class as booleans."""
    most = jnp.argmax(sure, axis=1).astype(jnp.int32)
    return most[:, None] == jnp.arange(sure.shape[1], dtype=jnp.int32)[None, :]
