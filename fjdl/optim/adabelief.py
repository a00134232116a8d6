"""AdaBelief."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from fjdl.checks import within
from fjdl.numerics import squared_modulus
from fjdl.optim.adam import quotient
from fjdl.optim.base import (
    LearningRate,
    Number,
    averaged,
    chain,
    increment,
    like,
    moving_average,
    real_zeros,
    scale_by_learning_rate,
    stored,
    transformation,
    zeros,
)
from fjdl.typing import Array, PyTree, typed


class AdabeliefState(NamedTuple):
    """What AdaBelief remembers."""

    step: Array  # shape (), int32: updates made so far
    mean: PyTree  # m of the paper: the parameters' shapes, float32 (float64 for float64 parameters) or `mean_dtype`
    variance: PyTree  # s of the paper: the parameters' shapes, float32 (float64 for float64 parameters)


@typed
def scale_by_adabelief(
    *,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-16,
    eps_root: Number = 1e-16,
    mean_dtype: DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """m̂ / (√ŝ + eps), with s ← b2 s + (1 − b2) (g − m)² + eps_root in the place of Adam's v.

    m ← b1 m + (1 − b1) g, m̂ = m / (1 − b1ᵗ), ŝ = s / (1 − b2ᵗ): Zhuang et al. 2020, arXiv:2010.07468, algorithm 2,
    where eps is eps_root. The step is long where a gradient is as its mean foretells. Equal to
    `optax.scale_by_belief`; PyTorch has none. `mean_dtype` as in `scale_by_adam`. Raises `ValueError` for b1 or b2
    outside [0, 1) and for eps or eps_root ≤ 0.
    """
    within("[0, 1)", b1=b1, b2=b2)
    within("(0, inf]", eps=eps, eps_root=eps_root)

    def init(params: PyTree) -> AdabeliefState:
        return AdabeliefState(jnp.zeros((), jnp.int32), zeros(params, dtype=mean_dtype), real_zeros(params))

    def spread(s: Array, m: Array, g: Array) -> Array:
        return moving_average(s, squared_modulus(g - m), b2) + like(eps_root, s)

    def update(updates: PyTree, state: AdabeliefState, params: PyTree) -> tuple[PyTree, AdabeliefState]:
        del params
        step = increment(state.step)
        mean = averaged(state.mean, updates, b1)
        variance = jax.tree.map(spread, state.variance, mean, updates)
        return quotient(mean, variance, step, b1=b1, b2=b2, eps=eps), AdabeliefState(
            step, stored(mean, dtype=mean_dtype), variance
        )

    return transformation(init, update)


@typed
def adabelief(
    learning_rate: LearningRate,
    *,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-16,
    eps_root: Number = 1e-16,
    mean_dtype: DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """AdaBelief: w ← w − learning_rate · m̂ / (√ŝ + eps), see `scale_by_adabelief`; equal to `optax.adabelief`."""
    scaled = scale_by_adabelief(b1=b1, b2=b2, eps=eps, eps_root=eps_root, mean_dtype=mean_dtype)
    return chain(scaled, scale_by_learning_rate(learning_rate))
