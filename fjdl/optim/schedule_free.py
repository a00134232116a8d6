"""Schedule-free learning: an average of the parameters takes the place of a falling learning rate."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from fjdl.checks import within
from fjdl.numerics import safe_divide, widened
from fjdl.optim.average import ema_init
from fjdl.optim.base import LearningRate, Number, increment, like, require_params, with_extra
from fjdl.typing import Array, PyTree, typed


class ScheduleFreeState(NamedTuple):
    """What schedule-free learning remembers."""

    step: Array  # shape (), int32: updates made so far
    largest: Array  # shape (), float32 (float64 where JAX has it enabled): the largest learning rate so far
    weight: Array  # shape (), as largest: the sum of the weights of the average
    momentum: Array  # shape (), as largest: what `evaluation_params` needs to know
    inner: Any  # state of the inner transformation
    fast: PyTree  # z of the paper: the parameters' shapes, float32 (float64 for float64 parameters)


@typed
def schedule_free(
    transformation: optax.GradientTransformation,
    learning_rate: LearningRate,
    *,
    momentum: Number = 0.9,
    power: Number = 2.0,
) -> optax.GradientTransformationExtraArgs:
    """z ← z + update of `transformation`, x ← (1 − c) x + c z, and the parameters are (1 − momentum) z + momentum x.

    x is the average of all z so far, in which each counts the largest learning rate so far to the `power`, so that a
    warm-up counts little; c is the newest one's part of the sum. Evaluate at x, which `evaluation_params` gives. The
    rate is that of `transformation`, told once more, constant or after a warm-up; `transformation` ends with it and has
    no momentum of its own: `optim.sgd(rate)`, or `optim.adam(rate, b1=0.0)`. Defazio et al. 2024, arXiv:2405.15682.
    Equal to `optax.contrib.schedule_free`, which takes a schedule's weights one step early. Raises `ValueError` for
    `momentum` outside (0, 1], for a negative `power` or rate, and where `update` is not given the parameters.
    """
    within("(0, 1]", momentum=momentum)
    within("[0, inf)", power=power)
    if not callable(learning_rate):
        within("[0, inf)", learning_rate=learning_rate)
    inner = optax.with_extra_args_support(transformation)

    def init(params: PyTree) -> ScheduleFreeState:
        largest, weight = jnp.zeros(()), jnp.zeros(())  # two arrays, so that a step may be given both to overwrite
        state = inner.init(jax.tree.map(widened, params))
        return ScheduleFreeState(
            jnp.zeros((), jnp.int32), largest, weight, like(momentum, weight), state, ema_init(params)
        )

    def update(
        updates: PyTree, state: ScheduleFreeState, params: PyTree, **extra: Any
    ) -> tuple[PyTree, ScheduleFreeState]:
        require_params("schedule_free", params)
        updates, inner_state = inner.update(updates, state.inner, params, **extra)
        rate = learning_rate(state.step) if callable(learning_rate) else learning_rate
        largest = jnp.maximum(state.largest, like(rate, state.largest))
        newest = largest ** like(power, largest)
        weight = state.weight + newest
        share = safe_divide(newest, weight)

        def moved(y: Array, z: Array, u: Array) -> Array:
            x = _average(y, z, momentum)
            x = x + like(share, x) * (z + u - x)
            return x + like(1 - momentum, x) * (z + u - x) - y

        fast = jax.tree.map(jnp.add, state.fast, updates)
        result = jax.tree.map(moved, params, state.fast, updates)
        return result, ScheduleFreeState(increment(state.step), largest, weight, state.momentum, inner_state, fast)

    return with_extra(init, update)


@typed
def evaluation_params(params: PyTree, state: ScheduleFreeState) -> PyTree:
    """x of `schedule_free`, at which to evaluate, of the parameters and the state after the same update.

    In float32 (float64 for float64 parameters); equal to `optax.contrib.schedule_free_eval_params`.
    """
    return jax.tree.map(lambda y, z: _average(widened(y), z, state.momentum), params, state.fast)


def _average(y: Array, z: Array, momentum: Number) -> Array:
    """x from y = (1 − momentum) z + momentum x, exact where all three are equal."""
    return y + (y - z) * like((1 - momentum) / momentum, z)
