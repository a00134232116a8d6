"""AMSGrad."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from fjdl.optim.adam import moment_estimates, require_adam
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
from fjdl.typing import Array, PyTree, typed


class AmsgradState(NamedTuple):
    """What AMSGrad remembers."""

    step: Array  # shape (), int32: updates made so far
    mean: PyTree  # m of the paper: the parameters' shapes, float32 (float64 for float64 parameters) or `mean_dtype`
    square: PyTree  # v of the paper: the parameters' shapes, float32 (float64 for float64 parameters)
    largest: PyTree  # v̂ of the paper, the largest v so far: as `square`


@typed
def scale_by_amsgrad(
    *, b1: Number = 0.9, b2: Number = 0.999, eps: Number = 1e-8, mean_dtype: DTypeLike | None = None
) -> optax.GradientTransformationExtraArgs:
    """m̂ / (√(u / (1 − b2ᵗ)) + eps), with u ← max(u, v) in the place of Adam's v.

    m, v and m̂ as in `scale_by_adam`: Reddi, Kale & Kumar 2018, arXiv:1904.09237, algorithm 2, whose entries' rates
    never grow, with Adam's corrections and eps, which the paper leaves out. Equal to `torch.optim.Adam(amsgrad=True)`.
    `optax.amsgrad` takes the largest of the corrected v̂ instead, so that a spike at step t counts 1 / (1 − b2ᵗ)
    times as much for ever; with both of its corrections off it is the paper's. `mean_dtype` as in `scale_by_adam`.
    Raises `ValueError` for b1 or b2 outside [0, 1) and for eps ≤ 0.
    """
    require_adam(b1, b2, eps)

    def init(params: PyTree) -> AmsgradState:
        return AmsgradState(
            jnp.zeros((), jnp.int32), zeros(params, dtype=mean_dtype), real_zeros(params), real_zeros(params)
        )

    def update(updates: PyTree, state: AmsgradState, params: PyTree) -> tuple[PyTree, AmsgradState]:
        del params
        step = increment(state.step)
        mean, square = moment_estimates(state, updates, b1, b2)
        largest = jax.tree.map(jnp.maximum, state.largest, square)
        factor1, factor2 = (1 / bias_correction(b, step) for b in (b1, b2))

        def direction(m: Array, u: Array) -> Array:
            return like(factor1, m) * m / (jnp.sqrt(like(factor2, u) * u) + like(eps, u))

        return jax.tree.map(direction, mean, largest), AmsgradState(
            step, stored(mean, dtype=mean_dtype), square, largest
        )

    return transformation(init, update)


@typed
def amsgrad(
    learning_rate: LearningRate,
    *,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-8,
    mean_dtype: DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """AMSGrad: Adam over the largest v so far, see `scale_by_amsgrad`; equal to `torch.optim.Adam(amsgrad=True)`."""
    return chain(scale_by_amsgrad(b1=b1, b2=b2, eps=eps, mean_dtype=mean_dtype), scale_by_learning_rate(learning_rate))
