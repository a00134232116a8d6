"""Gradient clipping."""

import jax
import jax.numpy as jnp
import optax

from fjdl import tree
from fjdl.optim.base import Number, like, require_positive, stateless
from fjdl.typing import PyTree, typed


@typed
def clip_by_global_norm(max_norm: Number) -> optax.GradientTransformation:
    """Updates shrunk together so that their Euclidean norm over all leaves is at most `max_norm`.

    Smaller ones pass unchanged. Pascanu et al. 2013, arXiv:1211.5063; equal to `optax.clip_by_global_norm`, but entries
    of 1e30, whose squares overflow, are shrunk right instead of becoming 0. Where the norm is not finite every update
    is NaN, so that a bad step shows instead of passing for a small one. Raises `ValueError` where `max_norm` is not
    positive.
    """
    require_positive("max_norm", max_norm)

    def update(updates: PyTree, params: PyTree) -> PyTree:
        del params
        norm = tree.global_norm(updates)
        limit = like(max_norm, norm)
        factor = jnp.where(jnp.isfinite(norm), limit / jnp.maximum(norm, limit), jnp.nan)
        return jax.tree.map(lambda u: like(factor, u) * u, updates)

    return stateless(update)
