"""One update for several micro-batches."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from fjdl.meshes import cond, varying, varying_axes
from fjdl.numerics import safe_divide, widened
from fjdl.optim.base import Count, Number, at_least_static, increment, like, scalar, with_extra, zeros
from fjdl.optim.guard import all_finite, unmoved
from fjdl.typing import Array, PyTree, typed


class AccumulateState(NamedTuple):
    """The mean gradient so far."""

    micro_step: Array  # shape (), int32: micro-batches since the last update, below `every`
    dropped: Array  # shape (), int32: micro-batches dropped so far
    weight: Array  # shape (), float32: weights of the micro-batches in the mean
    mean: PyTree  # the parameters' shapes, float32 (float64 for float64 parameters); stale while the weight is 0
    inner: Any  # state of the transformation, which moves only with an update


@typed
def accumulate_gradients(
    transformation: optax.GradientTransformation, *, every: Count
) -> optax.GradientTransformationExtraArgs:
    """`transformation` of the mean gradient over `every` calls; between, updates are 0 and its state does not move.

    For a loss that is a mean over examples this equals one batch `every` times as large, except that batch
    normalization sees the small ones. `update(…, weight=count)` weighs micro-batches of different sizes by their
    examples. The mean is kept in float32. A micro-batch whose gradient is not finite is left out of the mean and
    counted; where all of them are, there is no update. The window is `every` calls in any case: `optax.MultiSteps` with
    `skip_not_finite` waits for another, and without it keeps a NaN for ever. Raises `ValueError` for `every` below 1.
    """
    at_least_static(1, every=every)
    inner = optax.with_extra_args_support(transformation)

    def init(params: PyTree) -> AccumulateState:
        state = varying(inner.init(jax.tree.map(widened, params)), varying_axes(params))
        weight = scalar(params, dtype=jnp.result_type(float))
        return AccumulateState(jnp.zeros((), jnp.int32), scalar(params), weight, zeros(params), state)

    def update(
        updates: PyTree, state: AccumulateState, params: PyTree, *, weight: Number = 1.0, **extra: Any
    ) -> tuple[PyTree, AccumulateState]:
        finite = all_finite(updates)
        dropped = jnp.where(finite, state.dropped, increment(state.dropped))
        weight, mean = _include(updates, state, jnp.where(finite, like(weight, state.weight), 0))
        last = state.micro_step == every - 1
        result, inner_state = cond(
            last & (weight > 0),
            lambda: inner.update(mean, state.inner, params, **extra),
            lambda: (unmoved(mean), state.inner),
        )
        micro_step = jnp.where(last, 0, state.micro_step + 1)
        return result, AccumulateState(micro_step, dropped, jnp.where(last, 0, weight), mean, inner_state)

    return with_extra(init, update)


def _include(updates: PyTree, state: AccumulateState, weight: Array) -> tuple[Array, PyTree]:
    """The new total weight and mean; a convex sum, which cannot overflow, and the old mean to the bit for weight 0."""
    total = state.weight + weight
    share = safe_divide(weight, total)

    def include(mean: Array, gradient: Array) -> Array:
        blend = like(1 - share, mean) * mean + like(share, mean) * gradient
        return jnp.where(weight > 0, blend, mean)

    return total, jax.tree.map(include, state.mean, updates)
