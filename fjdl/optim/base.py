"""What every optimizer shares: the pair of functions, the dtype of state, the learning rate, checks of options."""

import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jax.typing import DTypeLike

from fjdl.checks import at_least, within
from fjdl.meshes import varying, varying_axes
from fjdl.numerics import real, squared_modulus, wide, widened
from fjdl.schedules import Schedule
from fjdl.schedules.base import Number
from fjdl.typing import Array, Inexact, Int, PyTree, Scalar, typed

if TYPE_CHECKING:
    Count = int
else:
    Count = int | np.integer | jax.Array  # an array is refused in words of its own, see `require_static`

LearningRate = Number | Schedule
State = TypeVar("State")

_LAST_STEP = jnp.iinfo(jnp.int32).max


def transformation(
    init: Callable[[PyTree], State], update: Callable[[PyTree, State, PyTree], tuple[PyTree, State]]
) -> optax.GradientTransformationExtraArgs:
    """`with_extra` for an `update` without keyword arguments: those meant for its neighbours in a chain pass it by."""
    return with_extra(init, lambda updates, state, params, **extra: update(updates, state, params))


def with_extra(
    init: Callable[[PyTree], State], update: Callable[..., tuple[PyTree, State]]
) -> optax.GradientTransformationExtraArgs:
    """The pair as optax wants it, with `update` given its gradients and parameters in float32 (see `wide`).

    What `update` returns is cast back to the dtype of the gradient it came from, so that the mathematics is written
    once and is right in bfloat16. Under `jax.jit` the casts are fused into the arithmetic. `optax.chain` hands keyword
    arguments through from `update(updates, state, params, value=…)`; `update` must accept those that it does not know.
    """

    def wide_update(updates: PyTree, state: State, params: PyTree = None, **extra: Any) -> tuple[PyTree, State]:
        result, state = update(jax.tree.map(widened, updates), state, jax.tree.map(widened, params), **extra)
        return jax.tree.map(_narrow, result, updates), state

    return optax.GradientTransformationExtraArgs(init, wide_update)  # type: ignore[arg-type]  # optax types every state alike


def stateless(update: Callable[[PyTree, PyTree], PyTree]) -> optax.GradientTransformationExtraArgs:
    """The transformation that remembers nothing: `update(updates, params)` returns the new updates."""
    return transformation(
        lambda params: optax.EmptyState(), lambda updates, state, params: (update(updates, params), state)
    )


class LearningRateState(NamedTuple):
    """The same for a number and a schedule, so that a checkpoint survives the change from one to the other."""

    step: Array  # shape (), int32: updates made so far


@typed
def scale_by_learning_rate(learning_rate: LearningRate) -> optax.GradientTransformationExtraArgs:
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
def like(value: Number, x: Inexact[Array, "..."]) -> Scalar:
    """A hyper-parameter in the dtype of the array that it multiplies, real where that is complex."""
    return jnp.asarray(value, real(x.dtype))


def zeros(params: PyTree, *, dtype: DTypeLike | None = None) -> PyTree:
    """Zero state: the parameters' shapes, in `dtype`, by default that of `wide`.

    It lies as the parameters lie: with their sharding, and inside `jax.shard_map` varying as they do, so that its type
    is that of what an update makes of it. Raises `ValueError` for a complex leaf and a real `dtype`.
    """
    return jax.tree.map(lambda p: _nothing(p, wide(jnp.result_type(p)) if dtype is None else dtype), params)


def real_zeros(params: PyTree) -> PyTree:
    """As `zeros`, for what is real of complex parameters too, such as |g|²."""
    return jax.tree.map(lambda p: _nothing(jnp.real(p), real(wide(jnp.result_type(p)))), params)


def scalar(params: PyTree, *, value: float = 0, dtype: DTypeLike = jnp.int32) -> Array:
    """A number of the state that depends on all leaves, and inside `jax.shard_map` varies wherever one of them does."""
    return varying(jnp.asarray(value, dtype), varying_axes(params))


def stored(state: PyTree, *, dtype: DTypeLike | None) -> PyTree:
    """State as it is kept between steps: rounded to `dtype`, or as it is for None."""
    return state if dtype is None else jax.tree.map(lambda s: s.astype(dtype), state)


@typed
def moving_average(
    average: Inexact[Array, "*shape"], value: Inexact[Array, "*shape"], decay: Number
) -> Inexact[Array, "*shape"]:
    """decay · average + (1 − decay) · value."""
    return like(decay, average) * average + like(1 - decay, average) * value


def averaged(average: PyTree, values: PyTree, decay: Number) -> PyTree:
    """`moving_average` leaf by leaf, in the dtype of the values."""
    return jax.tree.map(lambda a, v: moving_average(a.astype(v.dtype), v, decay), average, values)


def averaged_squares(average: PyTree, values: PyTree, decay: Number) -> PyTree:
    """`averaged` of the squares of the values, of complex ones |g|²."""
    return averaged(average, jax.tree.map(squared_modulus, values), decay)


@typed
def bias_correction(decay: Number, step: Int[Array, ""]) -> Scalar:
    """1 − decay^step without cancellation: in float32 the plain formula is wrong by 1e-5 for 0.999 at step 1."""
    if not isinstance(decay, jax.Array):
        logarithm = math.log(max(float(decay), sys.float_info.min))
    else:
        logarithm = jnp.log(widened(decay))
    widest = jnp.result_type(float)
    return -jnp.expm1(step.astype(widest) * jnp.asarray(logarithm, widest))


def at_least_static(least: int, **counts: Count) -> None:
    """Raises `ValueError` for a count below `least`, and as `require_static`."""
    require_static(**counts)
    at_least(least, **counts)


def require_static(**counts: Count) -> None:
    """Raises `ValueError` for a count that is an array, which cannot choose shapes or code."""
    for name, count in counts.items():
        if isinstance(count, jax.Array):
            raise ValueError(
                f"{name} must be a Python integer, got an array; name it in static_args of optax.inject_hyperparams"
            )


def require_params(receiver: str, params: PyTree) -> None:
    """Raises `ValueError` where `update` was not given the parameters."""
    if params is None:
        raise ValueError(f"params must be given to {receiver} as in update(updates, state, params), got None")


def require_real(receiver: str, values: PyTree) -> None:
    """Raises `ValueError` for a complex leaf."""
    for leaf in jax.tree.leaves(values):
        if jnp.iscomplexobj(leaf):
            raise ValueError(
                f"{receiver} moves real leaves, got one of {leaf.dtype}; part it into real and imaginary parts"
            )


def chain(*parts: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """`optax.chain` whose parts hand each other float32: what comes out is rounded once, at the end."""
    whole = optax.chain(*parts)
    return with_extra(whole.init, optax.with_extra_args_support(whole).update)


def _narrow(result: Array, update: Array) -> Array:
    dtype = jnp.result_type(update)
    if jnp.iscomplexobj(result) and not jnp.issubdtype(dtype, jnp.complexfloating):
        raise ValueError(f"the gradient of a complex parameter must be complex, got {dtype}")
    return result.astype(dtype)


def _nothing(like: Array, dtype: DTypeLike) -> Array:
    if jnp.iscomplexobj(like) and not jnp.issubdtype(dtype, jnp.complexfloating):
        raise ValueError(f"the state of a complex parameter cannot be kept in {jnp.dtype(dtype)}; leave its dtype None")
    if not isinstance(like, Tracer):
        return jnp.zeros_like(like, dtype=dtype)
    # A constant would be replicated on an automatic mesh; a product has its operand's sharding.
    return (0 * jnp.abs(jnp.where(jnp.isfinite(like), like, jnp.zeros_like(like)))).astype(dtype)
