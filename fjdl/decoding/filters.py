"""Changes of next-token logits before a token is drawn: pure functions of logits, in float32.

A token that is left out has the logit -inf. Tokens with equal logits are kept or left out together, whatever their
numbers. A row with a NaN is NaN.
"""

import jax
import jax.numpy as jnp

from fjdl.checks import at_least, within
from fjdl.numerics import below_largest, softmax, widened
from fjdl.typing import Array, Bool, Float, Number, typed


@typed
def tempered(logits: Float[Array, "*batch k"], *, temperature: Number) -> Float[Array, "*batch k"]:
    """Logits less their largest one, divided by `temperature` in [0, inf): 1 keeps the probabilities, less sharpens.

    0 is the limit: the largest logit is kept with the logit 0, the first of several, and all others become -inf.

    >>> tempered(jnp.array([1.0, 3.0, 2.0]), temperature=0.5)
    Array([-4.,  0., -2.], dtype=float32)
    >>> tempered(jnp.array([1.0, 3.0, 3.0]), temperature=0)
    Array([-inf,   0., -inf], dtype=float32)
    """
    within("[0, inf)", temperature=temperature)
    logits = widened(logits)
    below, t = below_largest(logits, axis=-1), jnp.asarray(temperature, logits.dtype)
    numbers = jax.lax.broadcasted_iota(jnp.int32, logits.shape, logits.ndim - 1)
    first = numbers == jnp.argmax(logits, axis=-1, keepdims=True)
    limit = jnp.where(jnp.isnan(below), jnp.nan, jnp.where(first, 0, -jnp.inf))
    return jnp.where(t == 0, limit, below / jnp.where(t == 0, 1, t))


@typed
def top_k(logits: Float[Array, "*batch k"], *, count: int) -> Float[Array, "*batch k"]:
    """The `count` largest logits of each row, and those equal to the least of them; all others become -inf.

    A count of k or more keeps all. Fan et al. 2018. Equals `TopKLogitsWarper` of transformers.

    >>> top_k(jnp.array([1.0, 3.0, 2.0, 2.0]), count=2)
    Array([-inf,   3.,   2.,   2.], dtype=float32)
    """
    at_least(1, count=count)
    logits = widened(logits)
    rows = logits.reshape(-1, logits.shape[-1])
    least = jax.lax.top_k(rows, min(count, logits.shape[-1]))[0][:, -1].reshape(*logits.shape[:-1], 1)
    return _kept(logits, logits >= least)


@typed
def top_p(logits: Float[Array, "*batch k"], *, mass: Number) -> Float[Array, "*batch k"]:
    """The fewest most probable tokens whose probabilities add up to `mass` in (0, 1], and those equal to the last.

    The most probable token is always kept; a mass of 1 keeps all. Holtzman et al. 2020, nucleus sampling.

    >>> top_p(jnp.log(jnp.array([0.5, 0.2, 0.2, 0.1])), mass=0.6)
    Array([-0.693..., -1.609..., -1.609...,      -inf], dtype=float32)
    """
    within("(0, 1]", mass=mass)
    logits = widened(logits)
    ordered = jnp.sort(logits, axis=-1, descending=True)
    p = softmax(ordered, -1)
    before = jnp.cumsum(p, axis=-1) - p
    least = jnp.min(jnp.where(before < mass, ordered, jnp.inf), axis=-1, keepdims=True)
    return _kept(logits, (logits >= least) | (jnp.asarray(mass) >= 1))


@typed
def min_p(logits: Float[Array, "*batch k"], *, share: Number) -> Float[Array, "*batch k"]:
    """The tokens with at least `share` in [0, 1] of the probability of the most probable one; others become -inf.

    Nguyen et al. 2024, arXiv:2407.01082. Equals `MinPLogitsWarper` of transformers.

    >>> min_p(jnp.log(jnp.array([0.5, 0.3, 0.2])), share=0.5)
    Array([-0.693..., -1.203...,      -inf], dtype=float32)
    """
    within("[0, 1]", share=share)
    logits = widened(logits)
    return _kept(logits, below_largest(logits, axis=-1) >= jnp.log(jnp.asarray(share, logits.dtype)))


@typed
def repetition_penalty(
    logits: Float[Array, "*batch k"], seen: Bool[Array, "*batch k"], *, penalty: Number
) -> Float[Array, "*batch k"]:
    """The logits of tokens that were `seen`, divided by `penalty` where they are positive and multiplied where not.

    A penalty above 1 makes repetitions rarer, 1 changes nothing. It depends on where the logits have their zero, which
    no probability knows. Keskar et al. 2019, arXiv:1909.05858. Equals `RepetitionPenaltyLogitsProcessor` of
    transformers.

    >>> repetition_penalty(jnp.array([2.0, -2.0, 2.0]), jnp.array([True, True, False]), penalty=2.0)
    Array([ 1., -4.,  2.], dtype=float32)
    """
    within("(0, inf)", penalty=penalty)
    logits = widened(logits)
    return jnp.where(seen, jnp.where(logits > 0, logits / penalty, logits * penalty), logits)


def _kept(logits: Array, kept: Array) -> Array:
    row = jnp.any(jnp.isnan(logits), axis=-1, keepdims=True)
    return jnp.where(row, jnp.nan, jnp.where(kept, logits, -jnp.inf))
