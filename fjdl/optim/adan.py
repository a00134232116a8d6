"""Adan: Adam with Nesterov's momentum, estimated from differences of gradients."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

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
    transformation,
    zeros,
)
from fjdl.optim.decay import EVERYWHERE, DecayRules, add_decayed_weights
from fjdl.typing import Array, PyTree, typed


class AdanState(NamedTuple):
    """What Adan remembers: trees like the parameters, float32 (float64 for float64 parameters)."""

    step: Array  # shape (), int32: updates made so far
    mean: PyTree  # m of the paper
    difference: PyTree  # v of the paper
    square: PyTree  # n of the paper
    gradient: PyTree  # the last one


@typed
def scale_by_adan(
    *, b1: Number = 0.98, b2: Number = 0.92, b3: Number = 0.99, eps: Number = 1e-8
) -> optax.GradientTransformationExtraArgs:
    """(m̂ + b2 v̂) / (√n̂ + eps), m the mean of g, v that of differences d of gradients, n that of (g + b2 d)².

    m ← b1 m + (1 − b1) g, v ← b2 v + (1 − b2) d, n ← b3 n + (1 − b3) (g + b2 d)², where d = 0 at the first step, and
    each with a hat is divided by 1 − bᵗ; what the paper calls β is 1 − b here: Xie et al. 2022, arXiv:2208.06677,
    algorithm 1. Equal to the authors' code; `optax.scale_by_adan` has 1 − b2 where b2 stands before d and v̂. Raises
    `ValueError` for b1, b2 or b3 outside [0, 1) and for eps ≤ 0.
    """
    within("[0, 1)", b1=b1, b2=b2, b3=b3)
    within("(0, inf]", eps=eps)

    def init(params: PyTree) -> AdanState:
        return AdanState(jnp.zeros((), jnp.int32), zeros(params), zeros(params), real_zeros(params), zeros(params))

    def update(updates: PyTree, state: AdanState, params: PyTree) -> tuple[PyTree, AdanState]:
        del params
        step, first = increment(state.step), state.step == 0
        change = jax.tree.map(lambda g, old: jnp.where(first, jnp.zeros_like(g), g - old), updates, state.gradient)
        mean, difference = averaged(state.mean, updates, b1), averaged(state.difference, change, b2)
        square = averaged_squares(state.square, _ahead(updates, change, b2), b3)
        factor1, factor2, factor3 = (1 / bias_correction(b, step) for b in (b1, b2, b3))

        def direction(m: Array, v: Array, n: Array) -> Array:
            ahead = like(factor1, m) * m + like(b2 * factor2, v) * v
            return ahead / (jnp.sqrt(like(factor3, n) * n) + like(eps, n))

        return jax.tree.map(direction, mean, difference, square), AdanState(step, mean, difference, square, updates)

    return transformation(init, update)


@typed
def adan(
    learning_rate: LearningRate,
    *,
    b1: Number = 0.98,
    b2: Number = 0.92,
    b3: Number = 0.99,
    eps: Number = 1e-8,
    weight_decay: Number = 0.0,
    decay_rules: DecayRules = EVERYWHERE,
) -> optax.GradientTransformationExtraArgs:
    """Adan with decoupled weight decay: w ← w − learning_rate · (u + weight_decay · w), u of `scale_by_adan`.

    The paper divides w − learning_rate · u by 1 + learning_rate · weight_decay instead, which is the same up to
    learning_rate². `decay_rules` as in `add_decayed_weights`.
    """
    return chain(
        scale_by_adan(b1=b1, b2=b2, b3=b3, eps=eps),
        add_decayed_weights(weight_decay, rules=decay_rules),
        scale_by_learning_rate(learning_rate),
    )


def _ahead(updates: PyTree, change: PyTree, b2: Number) -> PyTree:
    return jax.tree.map(lambda g, d: g + like(b2, g) * d, updates, change)
