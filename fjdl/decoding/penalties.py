"""What the summed log probabilities of a sequence are divided by, so that long ones may win in a beam search."""

import jax.numpy as jnp

from fjdl.checks import within
from fjdl.numerics import widened
from fjdl.typing import Array, Num, Number, typed


@typed
def length_penalty(lengths: Num[Array, "*batch"], *, alpha: Number = 0.6) -> Num[Array, "*batch"]:
    """`((5 + length) / 6)^alpha` with `alpha` in [0, inf), 1 for a length of 1; 0 divides by 1 throughout.

    Wu et al. 2016, arXiv:1609.08144, (14).

    >>> length_penalty(jnp.array([1, 7]), alpha=1.0)
    Array([1., 2.], dtype=float32)
    """
    within("[0, inf)", alpha=alpha)
    return ((5 + widened(lengths)) / 6) ** alpha


@typed
def average_penalty(lengths: Num[Array, "*batch"]) -> Num[Array, "*batch"]:
    """The length, 1 at least: scores are mean log probabilities of tokens, the end token included.

    >>> average_penalty(jnp.array([0, 4]))
    Array([1., 4.], dtype=float32)
    """
    return jnp.maximum(widened(lengths), 1)
