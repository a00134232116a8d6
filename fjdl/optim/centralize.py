"""Gradient centralization."""

import jax
import jax.numpy as jnp
import optax

from fjdl.optim.base import stateless
from fjdl.typing import Array, typed


@typed
def centralize() -> optax.GradientTransformationExtraArgs:
    """Each kernel's gradient less its mean over all axes but the last, so that every output's weights keep their sum.

    Kernels are leaves of two axes or more, with the output last as in Flax; others pass unchanged. It comes
    first in a chain, and `partition` can spare embeddings. Yong et al. 2020, arXiv:2004.01461. Equal to
    `optax.centralize` on transposed leaves, since that takes the first axis for the output.
    """
    return stateless(lambda updates, params: jax.tree.map(_centred, updates))


def _centred(gradient: Array) -> Array:
    if gradient.ndim < 2 or gradient.size == 0:
        return gradient
    return gradient - jnp.mean(gradient, axis=tuple(range(gradient.ndim - 1)), keepdims=True)
