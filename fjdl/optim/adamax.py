"""AdaMax."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from fjdl.optim.adam import require_adam
from fjdl.optim.base import (
    LearningRate,
    Number,
    averaged,
    bias_correction,
    chain,
    increment,
    like,
    real_zeros,
    scale_by_learning_rate,
    stored,
    transformation,
    zeros,
)
from fjdl.typing import Array, PyTree, typed


class AdamaxState(NamedTuple):
    """What AdaMax remembers."""

    step: Array  # shape (), int32: updates made so far
    mean: PyTree  # m of the paper: the parameters' shapes, float32 (float64 for float64 parameters) or `mean_dtype`
    largest: PyTree  # u of the paper: the parameters' shapes, float32 (float64 for float64 parameters)


@typed
def scale_by_adamax(
    *, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8, mean_dtype: DTypeLike | None = None
) -> optax.GradientTransformationExtraArgs:
    """m̂ / u, with u ← max(b2 · u, |g| + eps) in the place of Adam's √v̂.

    m ← b1 m + (1 − b1) g and m̂ = m / (1 − b1ᵗ), while u needs no correction: Kingma & Ba 2015, arXiv:1412.6980,
    algorithm 2 (section 7.1), which has no eps and is 0/0 until the first gradient that is not 0. Squares nothing, so
    gradients of 1e30 are fine. Equal to `torch.optim.Adamax` and `optax.scale_by_adamax`; Keras adds eps to u instead,
    when dividing, which differs by at most eps / u. `mean_dtype` as in `scale_by_adam`. Raises `ValueError` for b1 or
    b2 outside [0, 1) and for eps ≤ 0.
    """
    require_adam(b1, b2, eps)

    def init(params: PyTree) -> AdamaxState:
        return AdamaxState(jnp.zeros((), jnp.int32), zeros(params, dtype=mean_dtype), real_zeros(params))

    def bound(u: Array, g: Array) -> Array:
        return jnp.maximum(like(b2, u) * u, jnp.abs(g) + like(eps, g))

    def update(updates: PyTree, state: AdamaxState, params: PyTree) -> tuple[PyTree, AdamaxState]:
        del params
        step = increment(state.step)
        mean = averaged(state.mean, updates, b1)
        largest = jax.tree.map(bound, state.largest, updates)
        factor = 1 / bias_correction(b1, step)
        direction = jax.tree.map(lambda m, u: like(factor, m) * m / u, mean, largest)
        return direction, AdamaxState(step, stored(mean, dtype=mean_dtype), largest)

    return transformation(init, update)


@typed
def adamax(
    learning_rate: LearningRate,
    *,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    mean_dtype: DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """AdaMax: w ← w − learning_rate · m̂ / u, see `scale_by_adamax`; equal to `torch.optim.Adamax`."""
    return chain(scale_by_adamax(b1=b1, b2=b2, eps=eps, mean_dtype=mean_dtype), scale_by_learning_rate(learning_rate))
