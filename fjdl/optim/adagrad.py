"""Adagrad."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from fjdl.checks import within
from fjdl.numerics import squared_modulus
from fjdl.optim.base import (
    LearningRate,
    Number,
    chain,
    like,
    real_zeros,
    scale_by_learning_rate,
    transformation,
)
from fjdl.typing import Array, PyTree, typed


class AdagradState(NamedTuple):
    """What Adagrad remembers."""

    total: PyTree  # the sum of all g²: the parameters' shapes, float32 (float64 for float64 parameters)


@typed
def scale_by_adagrad(*, initial: Number = 0.0, eps: Number = 1e-10) -> optax.GradientTransformationExtraArgs:
    """g / (√v + eps), where v ← v + g² is the sum of all squared gradients so far, from `initial`.

    Duchi, Hazan & Singer 2011, JMLR 12, figure 1 with diagonal matrices. The first update is the sign of g, and no
    entry's rate ever grows again. 0 where every gradient was 0. Equal to `torch.optim.Adagrad`; `optax.adagrad`
    starts at 0.1 and takes the root of v + eps, which is the same for `initial=0.1` but for its larger eps of 1e-7.
    Raises `ValueError` for a negative `initial` and for eps ≤ 0.
    """
    within("[0, inf]", initial=initial)
    within("(0, inf]", eps=eps)

    def init(params: PyTree) -> AdagradState:
        return AdagradState(jax.tree.map(lambda v: v + like(initial, v), real_zeros(params)))

    def update(updates: PyTree, state: AdagradState, params: PyTree) -> tuple[PyTree, AdagradState]:
        del params
        total = jax.tree.map(lambda v, g: v + squared_modulus(g), state.total, updates)

        def direction(g: Array, v: Array) -> Array:
            return g / (jnp.sqrt(v) + like(eps, v))

        return jax.tree.map(direction, updates, total), AdagradState(total)

    return transformation(init, update)


@typed
def adagrad(
    learning_rate: LearningRate, *, initial: Number = 0.0, eps: Number = 1e-10
) -> optax.GradientTransformationExtraArgs:
    """Adagrad: w ← w − learning_rate · g / (√v + eps), see `scale_by_adagrad`; equal to `torch.optim.Adagrad`."""
    return chain(scale_by_adagrad(initial=initial, eps=eps), scale_by_learning_rate(learning_rate))
