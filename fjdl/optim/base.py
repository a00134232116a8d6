"""What every optimizer shares: the pair of functions, the dtype of state, the learning rate, checks of options."""

import math
import sys
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from fjdl.checks import within
from fjdl.numerics import accumulate, wide
from fjdl.schedules import Schedule
from fjdl.typing import Array, Float, Int, PyTree, Scalar, typed

Number = float | Scalar  # a traced scalar is welcome: `optax.inject_hyperparams` passes one
LearningRate = Number | Schedule
State = TypeVar("State")

_LAST_STEP = jnp.iinfo(jnp.int32).max


def transformation(
    init: Callable[[PyTree], State], update: Callable[[PyTree, State, PyTree], tuple[PyTree, State]]
) -> optax.GradientTransformation:
    """The pair as optax wants it, with `update` given its gradients and parameters in float32 (float64 stays).

    What `update` returns is cast back to the dtype of the gradient it came from, so that the mathematics is written
    once and is right in bfloat16. Under `jax.jit` the casts are fused into the arithmetic.
    """

    def wide_update(updates: PyTree, state: State, params: PyTree = None) -> tuple[PyTree, State]:
        result, state = update(jax.tree.map(accumulate, updates), state, jax.tree.map(accumulate, params))
        return _narrow(result, updates), state

    return optax.GradientTransformation(init, wide_update)  # type: ignore[arg-type]  # optax types every state alike


def with_extra(
    init: Callable[[PyTree], State], update: Callable[..., tuple[PyTree, State]]
) -> optax.GradientTransformationExtraArgs:
    """As `transformation`, for an `update` that also takes keyword arguments, such as the loss or its gradient.

    `optax.chain` hands them through from `update(updates, state, params, value=…)`; `update` must accept others.
    """

    def wide_update(updates: PyTree, state: State, params: PyTree = None, **extra: Any) -> tuple[PyTree, State]:
        result, state = update(jax.tree.map(accumulate, updates), state, jax.tree.map(accumulate, params), **extra)
        return _narrow(result, updates), state

    return optax.GradientTransformationExtraArgs(init, wide_update)  # type: ignore[arg-type]


def stateless(update: Callable[[PyTree, PyTree], PyTree]) -> optax.GradientTransformation:
    """The transformation that remembers nothing: `update(updates, params)` returns the new updates."""
    return transformation(
        lambda params: optax.EmptyState(), lambda updates, state, params: (update(updates, params), state)
    )


class LearningRateState(NamedTuple):
    """The same for a number and a schedule, so that a checkpoint survives the change from one to the other."""

    step: Array  # shape (), int32: updates made so far


@typed
def scale_by_learning_rate(learning_rate: LearningRate) -> optax.GradientTransformation:
    """Updates times −learning rate: the step downhill that ends every chain.

    A schedule is called with the number of updates made before this one, so the first update uses `schedule(0)`; the
    count stops at 2**31 − 1. Raises `ValueError` for a negative or non-finite number.
    """
    within("[0, inf)", learning_rate=learning_rate)

    def init(params: PyTree) -> LearningRateState:
        del params
        return LearningRateState(jnp.zeros((), jnp.int32))

    def update(updates: PyTree, state: LearningRateState, params: PyTree) -> tuple[PyTree, LearningRateState]:
        del params
        rate = learning_rate(state.step) if callable(learning_rate) else learning_rate
        return jax.tree.map(lambda u: like(-rate, u) * u, updates), LearningRateState(increment(state.step))

    return transformation(init, update)


@typed
def increment(step: Int[Array, ""]) -> Int[Array, ""]:
    """`step + 1`, and 2**31 − 1 for ever once it is reached."""
    return jnp.minimum(step, _LAST_STEP - 1) + 1


@typed
def like(value: Number, x: Float[Array, "..."]) -> Scalar:
    """A hyper-parameter in the dtype of the array that it multiplies."""
    return jnp.asarray(value, x.dtype)


def zeros(params: PyTree, *, dtype: DTypeLike | None = None) -> PyTree:
    """Zero state: the parameters' shapes, in `dtype`, by default float32, or float64 where the parameter is float64."""
    return jax.tree.map(lambda p: jnp.zeros(jnp.shape(p), wide(jnp.result_type(p)) if dtype is None else dtype), params)


def stored(state: PyTree, *, dtype: DTypeLike | None) -> PyTree:
    """State as it is kept between steps: rounded to `dtype`, or as it is for None."""
    return state if dtype is None else jax.tree.map(lambda s: s.astype(dtype), state)


@typed
def moving_average(
    average: Float[Array, "*shape"], value: Float[Array, "*shape"], decay: Number
) -> Float[Array, "*shape"]:
    """decay · average + (1 − decay) · value."""
    return like(decay, average) * average + like(1 - decay, average) * value


def averaged(average: PyTree, values: PyTree, decay: Number) -> PyTree:
    """`moving_average` leaf by leaf, in the dtype of the values."""
    return jax.tree.map(lambda a, v: moving_average(a.astype(v.dtype), v, decay), average, values)


def averaged_squares(average: PyTree, values: PyTree, decay: Number) -> PyTree:
    """`averaged` of the squares of the values."""
    return averaged(average, jax.tree.map(jnp.square, values), decay)


@typed
def bias_correction(decay: Number, step: Int[Array, ""]) -> Scalar:
    """1 − decay^step without cancellation: in float32 the plain formula is wrong by 1e-5 for 0.999 at step 1."""
    if isinstance(decay, int | float):
        logarithm = math.log(max(decay, sys.float_info.min))
    else:
        logarithm = jnp.log(accumulate(decay))
    widest = jnp.result_type(float)
    return -jnp.expm1(step.astype(widest) * jnp.asarray(logarithm, widest))


def require_params(receiver: str, params: PyTree) -> None:
    """Raises `ValueError` where `update` was not given the parameters."""
    if params is None:
        raise ValueError(f"params must be given to {receiver} as in update(updates, state, params), got None")


def chain(*parts: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """`optax.chain` whose parts hand each other float32: what comes out is rounded once, at the end."""
    whole = optax.chain(*parts)
    return with_extra(whole.init, optax.with_extra_args_support(whole).update)


def _narrow(result: PyTree, updates: PyTree) -> PyTree:
    return jax.tree.map(lambda r, u: r.astype(jnp.result_type(u)), result, updates)
