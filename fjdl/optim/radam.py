"""Rectified Adam."""

import math
import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from fjdl.numerics import widened
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
from fjdl.typing import Array, Int, PyTree, Scalar, typed

_TRACTABLE = 5.0  # the least length of average from which the variance of 1/√v̂ is believed; the paper says 4
_NEAR_ZERO = 0.1


class _Rectification(NamedTuple):
    tractable: Array  # shape (), bool
    factor: Array  # shape (): r of the paper where tractable


@typed
def scale_by_radam(
    *, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8, mean_dtype: DTypeLike | None = None
) -> optax.GradientTransformationExtraArgs:
    """r · m̂ · √(1 − b2ᵗ) / (√v + eps) where ρ > 5, and m̂ in the first steps, where v̂ is still of too few gradients.

    m, v and m̂ as in `scale_by_adam`; r = √((ρ − 4)(ρ − 2)ρ∞ / ((ρ∞ − 4)(ρ∞ − 2)ρ)), ρ∞ = 2 / (1 − b2) − 1 and
    ρ = ρ∞ − 2t b2ᵗ / (1 − b2ᵗ): Liu et al. 2020, arXiv:1908.03265, algorithm 2, which has no eps and the bound 4. ρ is
    computed without that difference, which in float32 is wrong by ρ∞ / 1e7. The first five updates (b2 = 0.999) have
    the gradient's own scale, and all of them where b2 ≤ 2/3. Equal to `torch.optim.RAdam`; `optax.radam` adds eps to
    √v̂ instead of √v, and has ρ ≥ 5. `mean_dtype` as in `scale_by_adam`. Raises `ValueError` for b1 or b2 outside
    [0, 1) and for eps ≤ 0.
    """
    require_adam(b1, b2, eps)

    def init(params: PyTree) -> AdamState:
        return AdamState(jnp.zeros((), jnp.int32), zeros(params, dtype=mean_dtype), real_zeros(params))

    def update(updates: PyTree, state: AdamState, params: PyTree) -> tuple[PyTree, AdamState]:
        del params
        step = increment(state.step)
        mean, square = moment_estimates(state, updates, b1, b2)
        tractable, factor = _rectification(b2, step)
        correction = bias_correction(b1, step)
        rectified = factor * jnp.sqrt(bias_correction(b2, step)) / correction

        def direction(m: Array, v: Array) -> Array:
            adapted = like(rectified, m) / (jnp.sqrt(v) + like(eps, v))
            return m * jnp.where(tractable, adapted, like(1 / correction, m))

        return jax.tree.map(direction, mean, square), AdamState(step, stored(mean, dtype=mean_dtype), square)

    return transformation(init, update)


@typed
def radam(
    learning_rate: LearningRate,
    *,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    mean_dtype: DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Rectified Adam, momentum in its first steps, see `scale_by_radam`; equal to `torch.optim.RAdam`."""
    return chain(scale_by_radam(b1=b1, b2=b2, eps=eps, mean_dtype=mean_dtype), scale_by_learning_rate(learning_rate))


def _rectification(b2: Number, step: Int[Array, ""]) -> _Rectification:
    """With λ = −log b2, ρ∞ = coth(λ/2) and ρ = t + coth(λ/2) − t coth(tλ/2), where the poles 2/λ cancel."""
    half = jnp.asarray(_half_rate(b2), jnp.result_type(float))
    time = step.astype(half.dtype)
    length = 1 - _langevin_gap(half) + time * _langevin_gap(time * half)
    tractable = length > _TRACTABLE
    length, limit = (jnp.maximum(x, _TRACTABLE) for x in (length, 1 / jnp.tanh(half)))
    square = (length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)
    return _Rectification(tractable, jnp.sqrt(square))


def _half_rate(b2: Number) -> Number:
    if not isinstance(b2, jax.Array):
        return -0.5 * math.log(max(float(b2), sys.float_info.min))
    return -0.5 * jnp.log(widened(b2))


def _langevin_gap(x: Scalar) -> Scalar:
    """1 − coth x + 1/x for x > 0, one less Langevin's function."""
    square = jnp.square(jnp.minimum(x, _NEAR_ZERO))
    series = 1 - x * (1 / 3 - square * (1 / 45 - square * (2 / 945 - square * (1 / 4725 - square * 2 / 93555))))
    return jnp.where(x < _NEAR_ZERO, series, 1 / x - 2 / jnp.expm1(2 * x))
