"""Adadelta."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from fjdl.checks import within
from fjdl.optim.base import (
    LearningRate,
    Number,
    averaged_squares,
    chain,
    like,
    real_zeros,
    scale_by_learning_rate,
    transformation,
)
from fjdl.typing import Array, PyTree, typed


class AdadeltaState(NamedTuple):
    """What Adadelta remembers."""

    square: PyTree  # E[g²]: the parameters' shapes, float32 (float64 for float64 parameters)
    step: PyTree  # E[Δ²] of the steps Δ so far, before the learning rate: as `square`


@typed
def scale_by_adadelta(*, decay: Number = 0.9, eps: Number = 1e-6) -> optax.GradientTransformationExtraArgs:
    """Δ = √(E[Δ²] + eps) / √(E[g²] + eps) · g, a step in the units of the parameters.

    E[g²] ← decay · E[g²] + (1 − decay) · g² before, and likewise E[Δ²] after the step: Zeiler 2012, arXiv:1212.5701,
    algorithm 1, whose ρ is `decay`. E[Δ²] starts at 0, so eps sets the size of the first steps, about
    √(eps / (1 − decay)). Equal to `torch.optim.Adadelta` and `optax.scale_by_adadelta`; Keras has decay 0.95 and eps
    1e-7. Raises `ValueError` for a decay outside [0, 1) and for eps ≤ 0.
    """
    within("[0, 1)", decay=decay)
    within("(0, inf]", eps=eps)

    def direction(g: Array, square: Array, step: Array) -> Array:
        return jnp.sqrt(step + like(eps, g)) / jnp.sqrt(square + like(eps, g)) * g

    def update(updates: PyTree, state: AdadeltaState, params: PyTree) -> tuple[PyTree, AdadeltaState]:
        del params
        square = averaged_squares(state.square, updates, decay)
        steps = jax.tree.map(direction, updates, square, state.step)
        return steps, AdadeltaState(square, averaged_squares(state.step, steps, decay))

    return transformation(lambda params: AdadeltaState(real_zeros(params), real_zeros(params)), update)


@typed
def adadelta(
    learning_rate: LearningRate, *, decay: Number = 0.9, eps: Number = 1e-6
) -> optax.GradientTransformationExtraArgs:
    """Adadelta: w ← w − learning_rate · Δ, see `scale_by_adadelta`; the paper has none, which is a rate of 1.

    Equal to `torch.optim.Adadelta` and `optax.adadelta`.
    """
    return chain(scale_by_adadelta(decay=decay, eps=eps), scale_by_learning_rate(learning_rate))
