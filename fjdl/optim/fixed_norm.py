"""Weights of a constant length."""

import math

import jax
import jax.numpy as jnp
import optax

from fjdl import tree
from fjdl.optim.base import require_params, stateless
from fjdl.typing import Array, PyTree, typed


@typed
def fix_norm() -> optax.GradientTransformationExtraArgs:
    """Each kernel is brought to the Euclidean norm √outputs before the update is added: u + (√outputs / ‖w‖ − 1) w.

    It comes last in a chain, where updates are ready to be added. A layer that batch normalization follows does not
    see the length of its kernel; left alone it grows, and the learning rate that directions feel falls. Outputs are the
    last axis; a zero kernel stays as it is. Jordan 2024 (github.com/KellerJordan/cifar10-airbench). Raises `ValueError`
    without params.
    """

    def update(updates: PyTree, params: PyTree) -> PyTree:
        require_params("fix_norm", params)
        return jax.tree.map(lambda u, w: u + (_target(w) - 1) * w, updates, params)

    return stateless(update)


def _target(w: Array) -> Array:
    """The factor that gives `w` its norm, 1 for zeros."""
    length = tree.global_norm(w)
    outputs = w.shape[-1] if w.ndim else 1
    return jnp.where(length > 0, math.sqrt(outputs) / jnp.where(length > 0, length, 1), 1).astype(w.dtype)
