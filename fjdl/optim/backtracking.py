"""The backtracking line search."""

import math
from typing import Any, NamedTuple

import jax.numpy as jnp
import optax

from fjdl.checks import within
from fjdl.meshes import while_loop
from fjdl.optim.base import Count, Number, at_least_static, like, scalar, with_extra
from fjdl.optim.line import ValueFn, scaled, start_of, values_along, widest
from fjdl.typing import Array, PyTree, Scalar, typed


class BacktrackingState(NamedTuple):
    """What the backtracking search remembers."""

    step_size: Array  # shape (), float32 (float64 beside float64 parameters): the last one that was accepted, or 0
    value: Array  # the same: the loss at the parameters that it leads to


@typed
def scale_by_backtracking(
    *, sufficient: Number = 1e-4, shrink: Number = 0.5, growth: Number = math.inf, max_evaluations: Count = 30
) -> optax.GradientTransformationExtraArgs:
    """u · t with the first t of 1, shrink, shrink², … for which f(w + t u) ≤ f(w) + sufficient · t · ∇f(w)ᵀu.

    The condition of Armijo 1966; Nocedal & Wright 2006, algorithm 3.1. It stands after the sign, at the end of a chain.
    A finite `growth` starts at the last accepted t times it, and at most 1, as `optax.scale_by_backtracking_linesearch`
    does. Where u is no direction of descent, or no t is accepted in `max_evaluations`, u becomes 0: so it is within
    rounding of a minimum. `update` takes the keyword `value_fn`, the loss as a function of the parameters, and, if they
    are at hand, its `value` and `grad` there. Raises `ValueError` for `sufficient` or `shrink` outside [0, 1).
    """
    within("[0, 1)", sufficient=sufficient)
    within("[0, 1)", shrink=shrink)
    within("(0, inf]", growth=growth)
    at_least_static(1, max_evaluations=max_evaluations)

    def init(params: PyTree) -> BacktrackingState:
        return BacktrackingState(*(scalar(params, value=value, dtype=widest(params)) for value in (0, jnp.inf)))

    def update(
        updates: PyTree,
        state: BacktrackingState,
        params: PyTree,
        *,
        value_fn: ValueFn,
        value: Array | None = None,
        grad: PyTree = None,
        **others: Any,
    ) -> tuple[PyTree, BacktrackingState]:
        del others
        start, _ = start_of(value_fn, params, updates, value, grad)
        largest = jnp.where(state.step_size > 0, like(growth, start.value) * state.step_size, 1)
        first = jnp.where(start.slope < 0, jnp.minimum(largest, 1), 0)
        line = values_along(value_fn, params, updates)

        def refused(trial: _Trial) -> Array:
            return ~(trial.value <= start.value + like(sufficient, first) * trial.size * start.slope)

        def shorten(trial: _Trial) -> _Trial:
            size = like(shrink, first) * trial.size
            return _Trial(size, line(size), trial.evaluations + 1)

        last = while_loop(
            lambda trial: refused(trial) & (trial.evaluations < max_evaluations),
            shorten,
            _Trial(first, line(first), jnp.ones((), jnp.int32)),
        )
        found = ~refused(last)
        size, value = jnp.where(found, last.size, 0), jnp.where(found, last.value, start.value)
        return scaled(updates, size), BacktrackingState(size, value)

    return with_extra(init, update)


class _Trial(NamedTuple):
    """A point that may be accepted."""

    size: Scalar  # t
    value: Scalar
    evaluations: Array  # of the loss, so far
