"""Gradient descent, plain, with momentum and with Nesterov's momentum."""

from typing import NamedTuple

import jax
import optax

from fjdl.optim.base import (
    LearningRate,
    Number,
    like,
    require_fraction,
    scale_by_learning_rate,
    transformation,
    zeros,
)
from fjdl.typing import PyTree, typed


class MomentumState(NamedTuple):
    """What momentum remembers."""

    velocity: PyTree  # the parameters' shapes, float32 (float64 for float64 parameters)


@typed
def scale_by_momentum(momentum: Number) -> optax.GradientTransformation:
    """The velocity v ← momentum · v + g, which replaces the gradient.

    Polyak 1964. The learning rate stays outside of v, as in PyTorch and optax; the form with the learning rate inside
    is the same as long as the rate is constant. Equal to `optax.trace(momentum)`. Raises `ValueError` where `momentum`
    is not in [0, 1).
    """
    require_fraction("momentum", momentum)

    def update(updates: PyTree, state: MomentumState, params: PyTree) -> tuple[PyTree, MomentumState]:
        del params
        velocity = _accelerated(state.velocity, updates, momentum)
        return velocity, MomentumState(velocity)

    return transformation(_at_rest, update)


@typed
def scale_by_nesterov(momentum: Number) -> optax.GradientTransformation:
    """The velocity one step ahead: g + momentum · v, where v ← momentum · v + g.

    Nesterov 1983, in the form in which the parameters held are the point w + momentum · Δw at which the textbook's form
    (Sutskever et al. 2013, ICML) takes the gradient. Equal to `optax.trace(momentum, nesterov=True)`. Raises
    `ValueError` where `momentum` is not in [0, 1).
    """
    require_fraction("momentum", momentum)

    def update(updates: PyTree, state: MomentumState, params: PyTree) -> tuple[PyTree, MomentumState]:
        del params
        velocity = _accelerated(state.velocity, updates, momentum)
        return _accelerated(velocity, updates, momentum), MomentumState(velocity)

    return transformation(_at_rest, update)


@typed
def sgd(learning_rate: LearningRate) -> optax.GradientTransformation:
    """Gradient descent: w ← w − learning_rate · g; equal to `torch.optim.SGD`.

    Whether it is batch, mini-batch or stochastic descent is decided by the batch that g is the mean over.
    """
    return scale_by_learning_rate(learning_rate)


@typed
def momentum(learning_rate: LearningRate, *, momentum: Number = 0.9) -> optax.GradientTransformation:
    """Gradient descent with momentum: v ← momentum · v + g, w ← w − learning_rate · v.

    See `scale_by_momentum`; equal to `torch.optim.SGD(momentum=…)`.
    """
    return optax.chain(scale_by_momentum(momentum), scale_by_learning_rate(learning_rate))


@typed
def nesterov(learning_rate: LearningRate, *, momentum: Number = 0.9) -> optax.GradientTransformation:
    """Gradient descent with Nesterov's momentum: v ← momentum · v + g, w ← w − learning_rate · (g + momentum · v).

    See `scale_by_nesterov`; equal to `torch.optim.SGD(momentum=…, nesterov=True)`.
    """
    return optax.chain(scale_by_nesterov(momentum), scale_by_learning_rate(learning_rate))


def _at_rest(params: PyTree) -> MomentumState:
    return MomentumState(zeros(params))


def _accelerated(velocity: PyTree, updates: PyTree, momentum: Number) -> PyTree:
    return jax.tree.map(lambda v, g: like(momentum, v) * v + g, velocity, updates)
