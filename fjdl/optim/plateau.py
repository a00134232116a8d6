"""A learning rate that is lowered when the loss stops falling."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from fjdl.checks import within
from fjdl.optim.base import Count, Number, at_least_static, like, with_extra
from fjdl.typing import Array, PyTree, typed


class PlateauState(NamedTuple):
    """What has been seen of the loss."""

    scale: Array  # shape (), float32 (float64 where JAX has it enabled): the factor of this update
    best: Array  # shape (), as scale: the best value so far, at first infinite
    bad: Array  # shape (), int32: values without improvement
    cooldown: Array  # shape (), int32: values yet to ignore
    total: Array  # shape (), as scale: sum of the values since the last decision
    pending: Array  # shape (), int32: how many they are, below `every`


@typed
def reduce_on_plateau(
    *,
    factor: Number = 0.1,
    patience: Count = 10,
    threshold: Number = 1e-4,
    relative: bool = True,
    maximize: bool = False,
    cooldown: Count = 0,
    min_scale: Number = 0.0,
    every: Count = 1,
) -> optax.GradientTransformationExtraArgs:
    """Updates times a scale that starts at 1 and is multiplied by `factor` when `value` stops falling.

    It goes after the learning rate in a chain, and is fed by `update(gradients, state, params, value=loss)`. A value,
    or the mean of `every` of them, is an improvement when it is below best − threshold · |best| (best − threshold
    unless `relative`; the mirror image for `maximize`); a NaN is none. At more than `patience` values in a row without
    one the scale falls, to `min_scale` at the least, from this update on, and none of the next `cooldown` values counts
    as bad. The scale is that of `torch.optim.lr_scheduler.ReduceLROnPlateau(eps=0)`, which for a negative best takes
    slightly worse values for improvements; that of `optax.contrib.reduce_on_plateau` falls one value earlier. Raises
    `ValueError` for options outside of their range and without a `value`.
    """
    within("(0, 1)", factor=factor)
    within("[0, inf]", threshold=threshold)
    within("[0, 1]", min_scale=min_scale)
    at_least_static(0, patience=patience, cooldown=cooldown)
    at_least_static(1, every=every)

    def init(params: PyTree) -> PlateauState:
        del params
        worst = -jnp.inf if maximize else jnp.inf
        bad, cooling, pending = (jnp.zeros((), jnp.int32) for _ in range(3))
        return PlateauState(jnp.ones(()), jnp.full((), worst), bad, cooling, jnp.zeros(()), pending)

    def update(
        updates: PyTree, state: PlateauState, params: PyTree, *, value: Number | None = None, **extra: Any
    ) -> tuple[PyTree, PlateauState]:
        del params, extra
        if value is None:
            raise ValueError("value must be given to reduce_on_plateau as in update(…, value=loss), got None")
        total = state.total + like(value, state.total)
        decided = decide(state, total / every)
        waiting = state._replace(total=total, pending=state.pending + 1)
        state = jax.tree.map(lambda d, w: jnp.where(state.pending == every - 1, d, w), decided, waiting)
        return jax.tree.map(lambda u: like(state.scale, u) * u, updates), state

    def decide(state: PlateauState, value: Array) -> PlateauState:
        better = _improves(value, state.best, like(threshold, value), relative=relative, maximize=maximize)
        cooling = state.cooldown > 0
        bad = jnp.where(better | cooling, 0, state.bad + 1)
        falls = bad > patience
        return PlateauState(
            scale=jnp.where(falls, _lowered(state.scale, factor, min_scale), state.scale),
            best=jnp.where(better, value, state.best),
            bad=jnp.where(falls, 0, bad),
            cooldown=jnp.where(falls, cooldown, jnp.where(cooling, state.cooldown - 1, 0)),
            total=jnp.zeros_like(state.total),
            pending=jnp.zeros_like(state.pending),
        )

    return with_extra(init, update)


def _improves(value: Array, best: Array, threshold: Array, *, relative: bool, maximize: bool) -> Array:
    margin = threshold * jnp.where(jnp.isfinite(best), jnp.abs(best), 0) if relative else threshold
    return value > best + margin if maximize else value < best - margin


def _lowered(scale: Array, factor: Number, min_scale: Number) -> Array:
    return jnp.maximum(like(factor, scale) * scale, like(min_scale, scale))
