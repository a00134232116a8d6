"""One vector for a sequence of them, `[n, t, d]` to `[n, d]`, whose padding reaches neither result nor gradient."""

import jax.numpy as jnp

from fjdl.functional.activations import softmax
from fjdl.functional.pool.maximum import largest
from fjdl.fused import fused
from fjdl.lengths import length_mask
from fjdl.numerics import widened
from fjdl.typing import Array, Bool, Float, Integer, typed


@typed
@fused
def mean_over_time(x: Float[Array, "n t d"], lengths: Integer[Array, "n"] | None = None) -> Float[Array, "n d"]:
    """The mean of the first `lengths` steps of each sequence, or of all, in the dtype of `x`; 0 where there are none.

    Summed in float32.

    >>> mean_over_time(jnp.array([[[1.0], [3.0], [jnp.nan]]]), jnp.array([2]))
    Array([[2.]], dtype=float32)
    """
    real = _real(x, lengths)
    total = jnp.sum(jnp.where(real, widened(x), 0), axis=1)
    count = jnp.sum(real.astype(total.dtype), axis=1)
    return (total / jnp.maximum(count, 1)).astype(x.dtype)


@typed
@fused
def max_over_time(x: Float[Array, "n t d"], lengths: Integer[Array, "n"] | None = None) -> Float[Array, "n d"]:
    """The largest of the first `lengths` steps of each feature, or of all steps; 0 where there are none.

    The first of equal entries takes the whole gradient, and a NaN is the result, as in `global_max_pool2d`. Collobert
    et al. 2011, JMLR 12; Kim 2014, arXiv:1408.5882.

    >>> max_over_time(jnp.array([[[1.0], [3.0], [9.0]]]), jnp.array([2]))
    Array([[3.]], dtype=float32)
    """
    real = _real(x, lengths)
    if x.shape[1] == 0:
        return jnp.zeros((x.shape[0], x.shape[2]), x.dtype)
    top = largest(jnp.where(real, x, -jnp.inf), 1)
    return jnp.where(real[:, 0], top, 0)


@typed
@fused
def weighted_over_time(
    x: Float[Array, "n t d"], scores: Float[Array, "n t"], lengths: Integer[Array, "n"] | None = None
) -> Float[Array, "n d"]:
    """The sum of the first `lengths` steps, or of all, with weights `softmax(scores)` over these; 0 if there are none.

    Summed in float32, in the dtype of `x`. Equal scores give `mean_over_time`. Yang et al. 2016, NAACL, equations 5 to
    7.

    >>> scores = jnp.log(jnp.array([[1.0, 3.0, 4.0]]))
    >>> weighted_over_time(jnp.array([[[1.0], [3.0], [jnp.nan]]]), scores, jnp.array([2])).round(3)
    Array([[2.5]], dtype=float32)
    """
    real = _real(x, lengths)
    weights = softmax(jnp.where(real[..., 0], widened(scores), -jnp.inf))
    return jnp.sum(weights[..., None] * jnp.where(real, widened(x), 0), axis=1).astype(x.dtype)


def _real(x: Array, lengths: Array | None) -> Bool[Array, "n t 1"]:
    """Which steps are no padding."""
    counted = jnp.full(x.shape[0], x.shape[1], jnp.int32) if lengths is None else lengths
    return length_mask(counted, steps=x.shape[1])[..., None]
