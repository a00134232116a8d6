"""Yogi."""

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from fjdl.checks import within
from fjdl.numerics import squared_modulus
from fjdl.optim.adam import AdamState, quotient, require_adam
from fjdl.optim.base import (
    LearningRate,
    Number,
    averaged,
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


@typed
def scale_by_yogi(
    *,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-3,
    initial: Number = 1e-6,
    mean_dtype: DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """m̂ / (√v̂ + eps), where v ← v − (1 − b2) sign(v − g²) g² from `initial` in the place of Adam's v.

    m, m̂ and v̂ as in `scale_by_adam`: Zaheer et al. 2018 (NeurIPS, Adaptive Methods for Nonconvex Optimization),
    algorithm 2, with Adam's corrections. v moves towards g² by a part of g², not of the difference, so that it forgets
    a large gradient slowly. `optax.scale_by_yogi` starts m at `initial` too; from m = 0 it is equal. `mean_dtype` as in
    `scale_by_adam`. Raises `ValueError` for b1 or b2 outside [0, 1), for eps ≤ 0 and for a negative `initial`.
    """
    require_adam(b1, b2, eps)
    within("[0, inf]", initial=initial)

    def init(params: PyTree) -> AdamState:
        square = jax.tree.map(lambda v: v + like(initial, v), real_zeros(params))
        return AdamState(jnp.zeros((), jnp.int32), zeros(params, dtype=mean_dtype), square)

    def nearer(v: Array, g: Array) -> Array:
        square = squared_modulus(g)
        return v - like(1 - b2, v) * jnp.sign(v - square) * square

    def update(updates: PyTree, state: AdamState, params: PyTree) -> tuple[PyTree, AdamState]:
        del params
        step = increment(state.step)
        mean = averaged(state.mean, updates, b1)
        square = jax.tree.map(nearer, state.square, updates)
        return quotient(mean, square, step, b1=b1, b2=b2, eps=eps), AdamState(
            step, stored(mean, dtype=mean_dtype), square
        )

    return transformation(init, update)


@typed
def yogi(
    learning_rate: LearningRate,
    *,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-3,
    initial: Number = 1e-6,
    mean_dtype: DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Yogi: w ← w − learning_rate · m̂ / (√v̂ + eps), see `scale_by_yogi`; equal to `optax.yogi` from m = 0."""
    scaled = scale_by_yogi(b1=b1, b2=b2, eps=eps, initial=initial, mean_dtype=mean_dtype)
    return chain(scaled, scale_by_learning_rate(learning_rate))
