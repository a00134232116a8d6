"""Nadam: Adam with Nesterov's momentum, constant or on Dozat's schedule."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from fjdl.checks import within
from fjdl.optim.adam import AdamState, moment_estimates, require_adam
from fjdl.optim.base import (
    LearningRate,
    Number,
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
from fjdl.optim.decay import EVERYWHERE, DecayRules, add_decayed_weights
from fjdl.typing import Array, Int, PyTree, Scalar, typed


class NadamScheduledState(NamedTuple):
    """What Nadam on a momentum schedule remembers."""

    step: Array  # shape (), int32: updates made so far
    product: Array  # shape (), float32 or, where that is enabled, float64: μ₁ ⋯ μₜ
    mean: PyTree  # m of the paper: the parameters' shapes, float32 (float64 for float64 parameters) or `mean_dtype`
    square: PyTree  # n of the paper: the parameters' shapes, float32 (float64 for float64 parameters)


@typed
def scale_by_nadam(
    *, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8, mean_dtype: DTypeLike | None = None
) -> optax.GradientTransformationExtraArgs:
    """(b1 · m / (1 − b1ᵗ⁺¹) + (1 − b1) · g / (1 − b1ᵗ)) / (√v̂ + eps): Adam one step ahead.

    m, v and v̂ as in `scale_by_adam`; Dozat 2016 (ICLR workshop, Incorporating Nesterov Momentum into Adam), algorithm 2
    with a constant momentum and without its further factor b2 of v̂. Equal to `optax.scale_by_adam(nesterov=True)`.
    `torch.optim.NAdam` raises the momentum on a schedule: see `scale_by_nadam_scheduled`. `mean_dtype` as in
    `scale_by_adam`. Raises `ValueError` for b1 or b2 outside [0, 1) and for eps ≤ 0.
    """
    require_adam(b1, b2, eps)

    def init(params: PyTree) -> AdamState:
        return AdamState(jnp.zeros((), jnp.int32), zeros(params, dtype=mean_dtype), real_zeros(params))

    def update(updates: PyTree, state: AdamState, params: PyTree) -> tuple[PyTree, AdamState]:
        del params
        step = increment(state.step)
        mean, square = moment_estimates(state, updates, b1, b2)
        correction, ahead = bias_correction(b1, step), bias_correction(b1, increment(step))
        weights = like(1 - b1, correction) / correction, like(b1, ahead) / ahead
        direction = _look_ahead(updates, mean, square, weights, bias_correction(b2, step), eps)
        return direction, AdamState(step, stored(mean, dtype=mean_dtype), square)

    return transformation(init, update)


@typed
def scale_by_nadam_scheduled(
    *,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    momentum_decay: Number = 4e-3,
    mean_dtype: DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """(μₜ₊₁ · m / (1 − μ₁⋯μₜ₊₁) + (1 − μₜ) · g / (1 − μ₁⋯μₜ)) / (√v̂ + eps), with a momentum μ that rises.

    μₜ = b1 · (1 − 0.96^(t · momentum_decay) / 2) goes from b1 / 2 to b1, half of the way in 4,200 steps. m and v̂ as in
    `scale_by_adam`: m decays by b1 whatever μ is. Dozat 2016, as in `scale_by_nadam`. Equal to `torch.optim.NAdam`,
    which keeps μ₁⋯μₜ in float32 unless PyTorch's default is float64. With `momentum_decay=0.0` μ stays at b1 / 2; no
    value of it gives `scale_by_nadam`. `mean_dtype` as in `scale_by_adam`. Raises `ValueError` for b1 or b2
    outside [0, 1), for eps ≤ 0 and for a negative `momentum_decay`.
    """
    require_adam(b1, b2, eps)
    within("[0, inf]", momentum_decay=momentum_decay)

    def init(params: PyTree) -> NadamScheduledState:
        return NadamScheduledState(
            jnp.zeros((), jnp.int32), jnp.ones(()), zeros(params, dtype=mean_dtype), real_zeros(params)
        )

    def update(updates: PyTree, state: NadamScheduledState, params: PyTree) -> tuple[PyTree, NadamScheduledState]:
        del params
        step = increment(state.step)
        mean, square = moment_estimates(state, updates, b1, b2)
        momentum, following = (_momentum(t, b1, momentum_decay) for t in (step, increment(step)))
        product = state.product * momentum
        weights = (1 - momentum) / (1 - product), following / (1 - product * following)
        direction = _look_ahead(updates, mean, square, weights, bias_correction(b2, step), eps)
        return direction, NadamScheduledState(step, product, stored(mean, dtype=mean_dtype), square)

    return transformation(init, update)


@typed
def nadam(
    learning_rate: LearningRate,
    *,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    mean_dtype: DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Nadam with a constant momentum, see `scale_by_nadam`; equal to `optax.nadam`."""
    return chain(scale_by_nadam(b1=b1, b2=b2, eps=eps, mean_dtype=mean_dtype), scale_by_learning_rate(learning_rate))


@typed
def nadamw(
    learning_rate: LearningRate,
    *,
    weight_decay: Number,
    decay_rules: DecayRules = EVERYWHERE,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    mean_dtype: DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """`nadam` with decoupled weight decay: w ← w − learning_rate · (u + weight_decay · w), u of `scale_by_nadam`.

    `decay_rules` as in `add_decayed_weights`. Equal to `optax.nadamw`.
    """
    return chain(
        scale_by_nadam(b1=b1, b2=b2, eps=eps, mean_dtype=mean_dtype),
        add_decayed_weights(weight_decay, rules=decay_rules),
        scale_by_learning_rate(learning_rate),
    )


@typed
def nadam_scheduled(
    learning_rate: LearningRate,
    *,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    momentum_decay: Number = 4e-3,
    mean_dtype: DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Nadam whose momentum rises from b1 / 2 to b1, see `scale_by_nadam_scheduled`; equal to `torch.optim.NAdam`."""
    scaled = scale_by_nadam_scheduled(b1=b1, b2=b2, eps=eps, momentum_decay=momentum_decay, mean_dtype=mean_dtype)
    return chain(scaled, scale_by_learning_rate(learning_rate))


def _look_ahead(
    updates: PyTree, mean: PyTree, square: PyTree, weights: tuple[Scalar, Scalar], correction: Scalar, eps: Number
) -> PyTree:
    (fresh, old), factor = weights, 1 / correction

    def direction(g: Array, m: Array, v: Array) -> Array:
        return (like(fresh, g) * g + like(old, m) * m) / (jnp.sqrt(like(factor, v) * v) + like(eps, v))

    return jax.tree.map(direction, updates, mean, square)


def _momentum(step: Int[Array, ""], b1: Number, momentum_decay: Number) -> Scalar:
    time = step.astype(jnp.result_type(float)) * like(momentum_decay, jnp.ones(()))
    return like(b1, time) * (1 - 0.5 * jnp.exp(math.log(0.96) * time))
