"""Adam and AdamW."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from fjdl.checks import within
from fjdl.optim.base import (
    LearningRate,
    Number,
    averaged,
    averaged_squares,
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
from fjdl.typing import Array, PyTree, typed


class AdamState(NamedTuple):
    """What Adam remembers."""

    step: Array  # shape (), int32: updates made so far
    mean: PyTree  # m of the paper: the parameters' shapes, float32 (float64 for float64 parameters) or `mean_dtype`
    square: PyTree  # v of the paper: the parameters' shapes, float32 (float64 for float64 parameters)


@typed
def scale_by_adam(
    *, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8, mean_dtype: DTypeLike | None = None
) -> optax.GradientTransformationExtraArgs:
    """m̂ / (√v̂ + eps), each entry of the order of 1 whatever the gradient's scale.

    m ← b1 m + (1 − b1) g, v ← b2 v + (1 − b2) g², m̂ = m / (1 − b1ᵗ), v̂ = v / (1 − b2ᵗ): Kingma & Ba 2015,
    arXiv:1412.6980, algorithm 1. Equal to `optax.scale_by_adam`, but the moments of bfloat16 parameters are float32: in
    bfloat16 b2 = 0.999 is 1. `mean_dtype=jnp.bfloat16` keeps m alone in half the memory, rounded after each step, as
    `mu_dtype` of optax does. Gradients beyond 1e19 overflow their square, which stops the entry for good: clip before.
    Raises `ValueError` for b1 or b2 outside [0, 1) and for eps ≤ 0.
    """
    require_adam(b1, b2, eps)

    def init(params: PyTree) -> AdamState:
        return AdamState(jnp.zeros((), jnp.int32), zeros(params, dtype=mean_dtype), real_zeros(params))

    def update(updates: PyTree, state: AdamState, params: PyTree) -> tuple[PyTree, AdamState]:
        del params
        step = increment(state.step)
        mean, square = moment_estimates(state, updates, b1, b2)
        return quotient(mean, square, step, b1=b1, b2=b2, eps=eps), AdamState(
            step, stored(mean, dtype=mean_dtype), square
        )

    return transformation(init, update)


@typed
def adam(
    learning_rate: LearningRate,
    *,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    mean_dtype: DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Adam: w ← w − learning_rate · m̂ / (√v̂ + eps), see `scale_by_adam`; equal to `torch.optim.Adam`."""
    return chain(scale_by_adam(b1=b1, b2=b2, eps=eps, mean_dtype=mean_dtype), scale_by_learning_rate(learning_rate))


@typed
def adamw(
    learning_rate: LearningRate,
    *,
    weight_decay: Number,
    decay_rules: DecayRules = EVERYWHERE,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    mean_dtype: DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Adam with decoupled weight decay: w ← w − learning_rate · (m̂ / (√v̂ + eps) + weight_decay · w).

    Loshchilov & Hutter 2019, arXiv:1711.05101, with the decay multiplied by the (scheduled) learning rate as in
    `torch.optim.AdamW` and `optax.adamw`. `decay_rules` choose by path what decays, see `add_decayed_weights`;
    `KERNELS` spares biases and norms.
    """
    return chain(
        scale_by_adam(b1=b1, b2=b2, eps=eps, mean_dtype=mean_dtype),
        add_decayed_weights(weight_decay, rules=decay_rules),
        scale_by_learning_rate(learning_rate),
    )


def moment_estimates(state: Any, updates: PyTree, b1: Number, b2: Number) -> tuple[PyTree, PyTree]:
    """The next m and v of a state that has `mean` and `square`, see `scale_by_adam`."""
    return averaged(state.mean, updates, b1), averaged_squares(state.square, updates, b2)


def quotient(mean: PyTree, square: PyTree, step: Array, *, b1: Number, b2: Number, eps: Number) -> PyTree:
    """m̂ / (√v̂ + eps), both moments corrected for their start at 0 after `step` updates, see `scale_by_adam`."""
    factor1, factor2 = (1 / bias_correction(b, step) for b in (b1, b2))

    def direction(m: Array, v: Array) -> Array:
        return like(factor1, m) * m / (jnp.sqrt(like(factor2, v) * v) + like(eps, v))

    return jax.tree.map(direction, mean, square)


def require_adam(b1: Number, b2: Number, eps: Number) -> None:
    """Raises `ValueError` for b1 or b2 outside [0, 1) and for eps ≤ 0."""
    within("[0, 1)", b1=b1)
    within("[0, 1)", b2=b2)
    within("(0, inf]", eps=eps)
