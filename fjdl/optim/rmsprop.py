"""RMSProp, plain and centred."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from fjdl.checks import within
from fjdl.numerics import squared_modulus
from fjdl.optim.base import (
    LearningRate,
    Number,
    averaged_squares,
    chain,
    like,
    real_zeros,
    scale_by_learning_rate,
    transformation,
    zeros,
)
from fjdl.optim.sgd import scale_by_momentum
from fjdl.typing import Array, PyTree, typed


class RmsState(NamedTuple):
    """What RMSProp remembers."""

    square: PyTree  # moving average of g²: the parameters' shapes, float32 (float64 for float64 parameters)


class CentredRmsState(NamedTuple):
    """What centred RMSProp remembers."""

    mean: PyTree  # moving average of g: the parameters' shapes, float32 (float64 for float64 parameters)
    variance: PyTree  # moving average of g² less mean²: as `mean`


@typed
def scale_by_rms(
    *, decay: Number = 0.9, eps: Number = 1e-8, eps_root: Number = 0.0
) -> optax.GradientTransformationExtraArgs:
    """g / (√(v + eps_root) + eps), where v ← decay · v + (1 − decay) · g².

    Tieleman & Hinton 2012, lecture 6e of Neural Networks for Machine Learning. v starts at 0 without correction, so the
    first update is ±1/√(1 − decay), about 3.2. Equal to `torch.optim.RMSprop`, whose default decay is 0.99, and with
    `eps=0.0, eps_root=1e-8` to `optax.scale_by_rms`, whose eps is inside of the root: for gradients below 1e-4 that is
    far from the same. Raises `ValueError` for a decay outside [0, 1), for a negative eps or eps_root, and where both
    are 0.
    """
    _require(decay, eps, eps_root)

    def update(updates: PyTree, state: RmsState, params: PyTree) -> tuple[PyTree, RmsState]:
        del params
        square = averaged_squares(state.square, updates, decay)
        return jax.tree.map(lambda g, v: _scaled(g, v, eps, eps_root), updates, square), RmsState(square)

    return transformation(lambda params: RmsState(real_zeros(params)), update)


@typed
def scale_by_centred_rms(
    *, decay: Number = 0.9, eps: Number = 1e-8, eps_root: Number = 0.0
) -> optax.GradientTransformationExtraArgs:
    """g / (√(v − m² + eps_root) + eps), m and v the moving averages of g and g².

    Graves 2013, arXiv:1308.0850, equations 38-45. The variance v − m² is kept itself, as s ← decay · (s +
    (1 − decay) · (g − m)²), which is the same number without the cancellation that makes it negative, and NaN its root,
    where gradients hardly change. Equal to `torch.optim.RMSprop(centered=True)`, and with `eps=0.0, eps_root=1e-8` to
    `optax.scale_by_stddev`. The steadier a gradient, the longer its step: after n equal ones decay^(−n/2), up to
    |g| / eps. Raises `ValueError` as `scale_by_rms`.
    """
    _require(decay, eps, eps_root)

    def spread(s: Array, m: Array, g: Array) -> Array:
        return like(decay, s) * (s + like(1 - decay, s) * squared_modulus(g - m))

    def update(updates: PyTree, state: CentredRmsState, params: PyTree) -> tuple[PyTree, CentredRmsState]:
        del params
        variance = jax.tree.map(spread, state.variance, state.mean, updates)
        mean = jax.tree.map(lambda m, g: m + like(1 - decay, m) * (g - m), state.mean, updates)
        direction = jax.tree.map(lambda g, s: _scaled(g, s, eps, eps_root), updates, variance)
        return direction, CentredRmsState(mean, variance)

    return transformation(lambda params: CentredRmsState(zeros(params), real_zeros(params)), update)


@typed
def rmsprop(
    learning_rate: LearningRate,
    *,
    decay: Number = 0.9,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    momentum: Number | None = None,
    velocity_dtype: DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """RMSProp: w ← w − learning_rate · g / (√(v + eps_root) + eps), see `scale_by_rms`.

    With `momentum`, that of `scale_by_momentum` follows, the learning rate outside of the velocity. Equal to
    `torch.optim.RMSprop`; `optax.rmsprop` has the rate inside of the velocity, which differs once the rate changes.
    """
    scaled = scale_by_rms(decay=decay, eps=eps, eps_root=eps_root)
    return _with_momentum(scaled, learning_rate, momentum, velocity_dtype)


@typed
def centred_rmsprop(
    learning_rate: LearningRate,
    *,
    decay: Number = 0.9,
    eps: Number = 1e-8,
    eps_root: Number = 0.0,
    momentum: Number | None = None,
    velocity_dtype: DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Centred RMSProp: w ← w − learning_rate · g / (√(v − m² + eps_root) + eps), see `scale_by_centred_rms`.

    `momentum` as in `rmsprop`. Equal to `torch.optim.RMSprop(centered=True)`.
    """
    scaled = scale_by_centred_rms(decay=decay, eps=eps, eps_root=eps_root)
    return _with_momentum(scaled, learning_rate, momentum, velocity_dtype)


def _with_momentum(
    scaled: optax.GradientTransformation,
    learning_rate: LearningRate,
    momentum: Number | None,
    velocity_dtype: DTypeLike | None,
) -> optax.GradientTransformationExtraArgs:
    if momentum is None:
        return chain(scaled, scale_by_learning_rate(learning_rate))
    velocity = scale_by_momentum(momentum, velocity_dtype=velocity_dtype)
    return chain(scaled, velocity, scale_by_learning_rate(learning_rate))


def _scaled(g: Array, square: Array, eps: Number, eps_root: Number) -> Array:
    return g / (jnp.sqrt(square + like(eps_root, g)) + like(eps, g))


def _require(decay: Number, eps: Number, eps_root: Number) -> None:
    within("[0, 1)", decay=decay)
    within("[0, inf]", eps=eps, eps_root=eps_root)
    if isinstance(eps, int | float) and isinstance(eps_root, int | float) and eps == eps_root == 0:
        raise ValueError("eps or eps_root must be positive, got 0 for both")
