"""Averages over training: of the parameters, for evaluation, and of the updates."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from fjdl.checks import within
from fjdl.numerics import widened
from fjdl.optim.base import (
    Number,
    bias_correction,
    increment,
    like,
    moving_average,
    stored,
    transformation,
    zeros,
)
from fjdl.typing import Array, Int, PyTree, Scalar, typed


@typed
def ema_init(params: PyTree) -> PyTree:
    """A copy of `params` in float32 (float64 stays): the average before the first update.

    The copy shares no memory with `params`, so that both may be donated to one jitted step.
    """
    return jax.tree.map(lambda p: jnp.array(widened(p), copy=True), params)


@typed
def ema_update(average: PyTree, params: PyTree, *, decay: Number) -> PyTree:
    """decay · average + (1 − decay) · params, leaf by leaf in the average's dtype.

    It starts at the parameters and not at zero, so it needs no bias correction; the window is about 1 / (1 − decay)
    steps. Polyak & Juditsky 1992; equal to `torch.optim.swa_utils.get_ema_avg_fn(decay)`. `decay` may be a traced
    scalar that warms up, see `ema_warmup`. Batch statistics are averaged where they are part of the tree. Raises
    `ValueError` where `decay` is not in [0, 1].
    """
    within("[0, 1]", decay=decay)
    return jax.tree.map(lambda a, p: moving_average(a, p.astype(a.dtype), decay), average, params)


@typed
def ema_warmup(step: Int[Array, ""] | int, *, decay: Number) -> Scalar:
    """min(decay, (1 + step) / (10 + step)): a decay for `ema_update` that forgets the first parameters soon.

    `step` counts the updates of the average before this one: 0.1 at step 0, 0.5 at step 8, `decay` from
    (10 decay − 1) / (1 − decay) on. Equal to `tf.train.ExponentialMovingAverage(num_updates=step)`. Raises
    `ValueError` where `decay` is not in [0, 1).
    """
    within("[0, 1)", decay=decay)
    step = jnp.asarray(step).astype(jnp.result_type(float))
    return jnp.minimum(like(decay, step), (1 + step) / (10 + step))


class SwaState(NamedTuple):
    """The mean of the parameters so far."""

    models: Array  # shape (), int32: how many are in the mean
    mean: PyTree  # the parameters' shapes, float32 (float64 for float64 parameters)


@typed
def swa_init(params: PyTree) -> SwaState:
    """The mean of nothing yet, whose value is a copy of `params`, see `swa_update`."""
    return SwaState(jnp.zeros((), jnp.int32), ema_init(params))


@typed
def swa_update(state: SwaState, params: PyTree) -> SwaState:
    """The equal mean of all parameters given so far: mean + (params − mean) / models.

    The first replace those of `swa_init`. Call it once an epoch, or a cycle of the learning rate, from late in training
    on; batch statistics must then be estimated anew with `state.mean`. Izmailov et al. 2018, arXiv:1803.05407; equal to
    `torch.optim.swa_utils.AveragedModel`.
    """
    models = increment(state.models)
    share = 1 / models.astype(jnp.result_type(float))

    def include(mean: Array, p: Array) -> Array:
        p = p.astype(mean.dtype)
        return jnp.where(models == 1, p, mean + like(share, mean) * (p - mean))

    return SwaState(models, jax.tree.map(include, state.mean, params))


class EmaState(NamedTuple):
    """The average of the updates."""

    step: Array  # shape (), int32: updates averaged so far
    average: PyTree  # the parameters' shapes, float32 (float64 for float64 parameters) or `average_dtype`


@typed
def ema(
    decay: Number, *, debias: bool = True, average_dtype: DTypeLike | None = None
) -> optax.GradientTransformationExtraArgs:
    """The moving average of the updates in their place: the uncorrected one divided by 1 − decayᵗ.

    The uncorrected one is a ← decay · a + (1 − decay) · u from a = 0; without `debias` it stays, too small at the
    start, where the first is (1 − decay) · u. What is kept is what is returned, a ← (1 − s) a + s u for
    s = (1 − decay) / (1 − decayᵗ), so that the first average is the first update to the bit. `average_dtype` such as
    bfloat16 halves the memory of a, which is rounded after each step. Equal to `optax.ema`. Raises `ValueError` where
    `decay` is not in [0, 1).
    """
    within("[0, 1)", decay=decay)

    def update(updates: PyTree, state: EmaState, params: PyTree) -> tuple[PyTree, EmaState]:
        del params
        step = increment(state.step)
        share = 1 - decay
        if debias:
            share = bias_correction(decay, jnp.ones_like(step)) / bias_correction(decay, step)

        def include(a: Array, u: Array) -> Array:
            return like(1 - share, u) * a.astype(u.dtype) + like(share, u) * u

        average = jax.tree.map(include, state.average, updates)
        return average, EmaState(step, stored(average, dtype=average_dtype))

    return transformation(lambda params: EmaState(jnp.zeros((), jnp.int32), zeros(params, dtype=average_dtype)), update)
