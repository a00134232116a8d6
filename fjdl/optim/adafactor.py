"""Adafactor: second moments of matrices kept as one number for each row and column."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from fjdl import tree
from fjdl.checks import within
from fjdl.numerics import squared_modulus
from fjdl.optim.base import (
    Count,
    LearningRate,
    Number,
    chain,
    increment,
    like,
    real_zeros,
    require_params,
    require_static,
    scale_by_learning_rate,
    stateless,
    transformation,
)
from fjdl.optim.decay import EVERYWHERE, DecayRules, add_decayed_weights
from fjdl.schedules.base import Schedule, Step
from fjdl.typing import Array, Float, Int, PyTree, Scalar, typed


class AdafactorState(NamedTuple):
    """What Adafactor remembers: trees like the parameters, float32 (float64 for float64 parameters)."""

    step: Array  # shape (), int32: updates made so far
    square: PyTree  # the second moment of a small leaf, in its shape; one unused 0 where the two below have it
    rows: PyTree  # its mean over the largest dimension, in the shape of the others; one unused 0 for a small leaf
    columns: PyTree  # its mean over the second largest dimension, likewise


@typed
def scale_by_factored_rms(
    *, min_size: Count = 128, decay_exponent: Number = 0.8, eps: Number = 1e-30
) -> optax.GradientTransformationExtraArgs:
    """g / √V, where V is R Cᵀ / mean(R) with the running means R and C of g² + eps over columns and over rows.

    Shazeer & Stern 2018, arXiv:1804.04235, algorithm 4. At step t the mean keeps 1 − t^−decay_exponent of its old value
    and so needs no bias correction. A leaf whose two largest dimensions both reach `min_size` is factored along them:
    an m by n matrix costs 4 (m + n) bytes, and a convolution kernel (h, w, m, n) 4 h w (m + n); any other leaf keeps
    all of its V. Equal to `optax.scale_by_factored_rms`. `torch.optim.Adafactor` factors the last two dimensions of
    every leaf with two or more, and adds no eps to g² but bounds √V from below. Gradients beyond 1e19 overflow their
    square. Raises `ValueError` where `min_size`, `decay_exponent` or `eps` is not positive.
    """
    require_static(min_size=min_size)
    within("(0, inf]", min_size=min_size)
    within("(0, inf]", decay_exponent=decay_exponent)
    within("(0, inf]", eps=eps)

    def init(params: PyTree) -> AdafactorState:
        moments = jax.tree.map(lambda zero: _means(zero, min_size), real_zeros(params))
        return AdafactorState(jnp.zeros((), jnp.int32), *_apart(moments))

    def update(updates: PyTree, state: AdafactorState, params: PyTree) -> tuple[PyTree, AdafactorState]:
        del params
        step = increment(state.step)
        weight = _newest_weight(step, decay_exponent)

        def remembered(g: Array, *old: Array) -> _Moments:
            new = _means(squared_modulus(g) + like(eps, g), min_size)
            return _Moments(*(a + like(weight, a) * (b - a) for a, b in zip(old, new, strict=True)))

        moments = _apart(jax.tree.map(remembered, updates, state.square, state.rows, state.columns))
        return jax.tree.map(_divided, updates, *moments), AdafactorState(step, *moments)

    return transformation(init, update)


@typed
def clip_by_leaf_rms(max_rms: Number) -> optax.GradientTransformationExtraArgs:
    """Each leaf u divided by max(1, RMS(u) / max_rms), where RMS is the root mean square of its entries.

    Shazeer & Stern 2018, arXiv:1804.04235, section 6; equal to `optax.clip_by_block_rms`, but entries of 1e30, whose
    squares overflow, are shrunk right instead of becoming 0. A leaf whose RMS is not finite becomes NaN. Raises
    `ValueError` where `max_rms` is not positive.
    """
    within("(0, inf]", max_rms=max_rms)

    def clipped(u: Array) -> Array:
        rms = _rms(u)
        limit = like(max_rms, rms)
        return u * jnp.where(jnp.isfinite(rms), limit / jnp.maximum(rms, limit), jnp.nan)

    return stateless(lambda updates, params: jax.tree.map(clipped, updates))


@typed
def scale_by_parameter_rms(*, min_scale: Number = 1e-3) -> optax.GradientTransformationExtraArgs:
    """Each leaf's update times max(RMS(w), min_scale), so that a learning rate is relative to the weights.

    Shazeer & Stern 2018, arXiv:1804.04235, section 8; equal to `optax.scale_by_param_block_rms`. Raises `ValueError`
    where `min_scale` is not positive and where `update` is not given the parameters.
    """
    within("(0, inf]", min_scale=min_scale)

    def update(updates: PyTree, params: PyTree) -> PyTree:
        require_params("scale by them", params)
        return jax.tree.map(lambda u, w: jnp.maximum(_rms(w), like(min_scale, w)) * u, updates, params)

    return stateless(update)


@typed
def relative_step(*, largest: float = 1e-2) -> Schedule:
    """The paper's rate for Adafactor, min(largest, 1 / √(step + 1)), to be scaled by the parameters' RMS.

    Shazeer & Stern 2018, arXiv:1804.04235, algorithm 6. Raises `ValueError` where `largest` is not positive.
    """
    within("(0, inf]", largest=largest)

    @typed
    def schedule(step: Step) -> Float[Array, ""]:
        return jnp.minimum(largest, jax.lax.rsqrt(jnp.float32(step) + 1))

    return schedule


@typed
def adafactor(
    learning_rate: LearningRate,
    *,
    min_size: Count = 128,
    decay_exponent: Number = 0.8,
    eps: Number = 1e-30,
    max_rms: Number | None = 1.0,
    min_scale: Number | None = 1e-3,
    weight_decay: Number = 0.0,
    decay_rules: DecayRules = EVERYWHERE,
) -> optax.GradientTransformationExtraArgs:
    """Adafactor: w ← w − learning_rate · (max(RMS(w), min_scale) · clip(g / √V) + weight_decay · w).

    V of `scale_by_factored_rms`, clipped by `clip_by_leaf_rms(max_rms)`, and relative to the weights as in
    `scale_by_parameter_rms`; None for `max_rms` or `min_scale` leaves that part out. There is no first moment: that is
    the memory it saves. Shazeer & Stern 2018, arXiv:1804.04235; their learning rate is `relative_step()`. Equal to
    `optax.adafactor` without weight decay, which optax does not multiply by the learning rate. Where `min_size` is 1,
    matrices and vectors move as under `torch.optim.Adafactor(eps=(tiny, min_scale))`, whose rate is min(lr, 1 / √t).
    """
    parts = [
        scale_by_factored_rms(min_size=min_size, decay_exponent=decay_exponent, eps=eps),
        optax.identity() if max_rms is None else clip_by_leaf_rms(max_rms),
        optax.identity() if min_scale is None else scale_by_parameter_rms(min_scale=min_scale),
        add_decayed_weights(weight_decay, rules=decay_rules),
        scale_by_learning_rate(learning_rate),
    ]
    return chain(*parts)


def _largest_axes(shape: tuple[int, ...]) -> tuple[int, int]:
    """The axes of the second largest and of the largest dimension."""
    second, largest = np.argsort(shape, kind="stable")[-2:]
    return int(second), int(largest)


class _Moments(NamedTuple):
    """The parts of `AdafactorState` that belong to one leaf."""

    square: Array
    rows: Array
    columns: Array


def _means(square: Array, min_size: int) -> _Moments:
    """What is kept of the squares of a leaf."""

    def nothing() -> Array:
        return jnp.zeros(1, square.dtype)

    if sum(size >= min_size for size in square.shape) < 2:
        return _Moments(square, nothing(), nothing())
    second, largest = _largest_axes(square.shape)
    return _Moments(nothing(), jnp.mean(square, axis=largest), jnp.mean(square, axis=second))


def _apart(moments: PyTree) -> tuple[PyTree, PyTree, PyTree]:
    """A tree of moments as three trees."""
    square, rows, columns = (
        jax.tree.map(lambda leaf, place=place: leaf[place], moments, is_leaf=lambda node: isinstance(node, _Moments))
        for place in range(3)
    )
    return square, rows, columns


def _newest_weight(step: Int[Array, ""], decay_exponent: Number) -> Scalar:
    widest = jnp.result_type(float)
    return step.astype(widest) ** -jnp.asarray(decay_exponent, widest)


def _divided(g: Array, square: Array, rows: Array, columns: Array) -> Array:
    if square.shape == g.shape:
        return g * jax.lax.rsqrt(square)
    second, largest = _largest_axes(g.shape)
    rows = jnp.expand_dims(rows, largest)
    row_factor = jax.lax.rsqrt(rows / jnp.mean(rows, axis=second, keepdims=True))
    return g * row_factor * jnp.expand_dims(jax.lax.rsqrt(columns), second)


def _rms(x: Array) -> Scalar:
    return tree.global_norm(x) / max(x.size, 1) ** 0.5
