"""Gradient descent, plain, with momentum and with Nesterov's momentum."""

from typing import NamedTuple

import jax
import optax
from jax.typing import DTypeLike

from fjdl.checks import within
from fjdl.optim.base import (
    LearningRate,
    Number,
    chain,
    like,
    scale_by_learning_rate,
    stored,
    transformation,
    zeros,
)
from fjdl.typing import PyTree, typed


class MomentumState(NamedTuple):
    """What momentum remembers."""

    velocity: PyTree  # the parameters' shapes, float32 (float64 for float64 parameters) or `velocity_dtype`


@typed
def scale_by_momentum(
    momentum: Number, *, velocity_dtype: DTypeLike | None = None
) -> optax.GradientTransformationExtraArgs:
    """The velocity v ← momentum · v + g, which replaces the gradient.

    The learning rate stays outside of v, as in PyTorch and optax; `heavy_ball` has it inside. `velocity_dtype` such as
    bfloat16 halves the memory of v, which is rounded after each step. Equal to `optax.trace(momentum)`. Raises
    `ValueError` where `momentum` is not in [0, 1).
    """
    within("[0, 1)", momentum=momentum)

    def update(updates: PyTree, state: MomentumState, params: PyTree) -> tuple[PyTree, MomentumState]:
        del params
        velocity = _accelerated(state.velocity, updates, momentum)
        return velocity, MomentumState(stored(velocity, dtype=velocity_dtype))

    return transformation(lambda params: MomentumState(zeros(params, dtype=velocity_dtype)), update)


@typed
def scale_by_nesterov(
    momentum: Number, *, velocity_dtype: DTypeLike | None = None
) -> optax.GradientTransformationExtraArgs:
    """The velocity one step ahead: g + momentum · v, where v ← momentum · v + g.

    Nesterov 1983, in the form in which the parameters held are the point at which the textbook's form takes the
    gradient, see `look_ahead`. `velocity_dtype` as in `scale_by_momentum`. Equal to `optax.trace(momentum,
    nesterov=True)`. Raises `ValueError` where `momentum` is not in [0, 1).
    """
    within("[0, 1)", momentum=momentum)

    def update(updates: PyTree, state: MomentumState, params: PyTree) -> tuple[PyTree, MomentumState]:
        del params
        velocity = _accelerated(state.velocity, updates, momentum)
        return _accelerated(velocity, updates, momentum), MomentumState(stored(velocity, dtype=velocity_dtype))

    return transformation(lambda params: MomentumState(zeros(params, dtype=velocity_dtype)), update)


@typed
def sgd(learning_rate: LearningRate) -> optax.GradientTransformationExtraArgs:
    """Gradient descent: w ← w − learning_rate · g; equal to `torch.optim.SGD`.

    Whether it is batch, mini-batch or stochastic descent is decided by the batch that g is the mean over.
    """
    return scale_by_learning_rate(learning_rate)


@typed
def momentum(
    learning_rate: LearningRate, *, momentum: Number = 0.9, velocity_dtype: DTypeLike | None = None
) -> optax.GradientTransformationExtraArgs:
    """Gradient descent with momentum: v ← momentum · v + g, w ← w − learning_rate · v.

    See `scale_by_momentum`; equal to `torch.optim.SGD(momentum=…)`.
    """
    return chain(scale_by_momentum(momentum, velocity_dtype=velocity_dtype), scale_by_learning_rate(learning_rate))


@typed
def heavy_ball(learning_rate: LearningRate, *, momentum: Number = 0.9) -> optax.GradientTransformationExtraArgs:
    """Momentum with the learning rate inside the velocity: v ← momentum · v − learning_rate · g, w ← w + v.

    Polyak 1964; the form of Sutskever et al. 2013 (ICML) and of `keras.optimizers.SGD`. The same as `momentum` while
    the rate is constant. After the rate falls, v goes on at the old speed, where `momentum` slows down at once.
    """
    return chain(scale_by_learning_rate(learning_rate), scale_by_momentum(momentum))


@typed
def nesterov(
    learning_rate: LearningRate, *, momentum: Number = 0.9, velocity_dtype: DTypeLike | None = None
) -> optax.GradientTransformationExtraArgs:
    """Gradient descent with Nesterov's momentum: v ← momentum · v + g, w ← w − learning_rate · (g + momentum · v).

    See `scale_by_nesterov`; equal to `torch.optim.SGD(momentum=…, nesterov=True)`.
    """
    return chain(scale_by_nesterov(momentum, velocity_dtype=velocity_dtype), scale_by_learning_rate(learning_rate))


@typed
def look_ahead(params: PyTree, velocity: PyTree, *, learning_rate: Number, momentum: Number) -> PyTree:
    """The point w − learning_rate · momentum · v at which the textbook's Nesterov momentum takes its gradient.

    Sutskever et al. 2013 (ICML): with that gradient the update is the one of `momentum`. `nesterov` holds this point
    as its parameters instead of w, takes its gradient there, and so visits the same points while the rate is constant.
    """
    return jax.tree.map(lambda w, v: w - like(learning_rate * momentum, w) * v.astype(w.dtype), params, velocity)


def _accelerated(velocity: PyTree, updates: PyTree, momentum: Number) -> PyTree:
    return jax.tree.map(lambda v, g: like(momentum, g) * v.astype(g.dtype) + g, velocity, updates)
