"""The line search for the strong Wolfe conditions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from fjdl.checks import within
from fjdl.meshes import while_loop
from fjdl.optim.base import Count, Number, at_least_static, like, scalar, with_extra, zeros
from fjdl.optim.line import Point, ValueFn, points_along, scaled, start_of, widest
from fjdl.typing import Array, PyTree, Scalar, typed


class StrongWolfeState(NamedTuple):
    """What the strong Wolfe search remembers; `optax.value_and_grad_from_state` reads value and gradient from it."""

    step_size: Array  # shape (), float32 (float64 beside float64 parameters): the last one that was accepted, or 0
    value: Array  # the same: the loss at the parameters that it leads to
    grad: PyTree  # the gradient there: the parameters' shapes, float32 (float64 for float64 parameters)


@typed
def scale_by_strong_wolfe(
    *, sufficient: Number = 1e-4, curvature: Number = 0.9, max_evaluations: Count = 20
) -> optax.GradientTransformationExtraArgs:
    """u · t with f(w + t u) ≤ f(w) + sufficient · t · ∇f(w)ᵀu and |∇f(w + t u)ᵀu| ≤ curvature · |∇f(w)ᵀu|.

    The strong Wolfe conditions; Nocedal & Wright 2006, algorithms 3.5 and 3.6, from t = 1, doubling until a minimum is
    bracketed, with cubic interpolation inside of the bracket. It stands after the sign, at the end of a chain; torch's
    `strong_wolfe` and `optax.scale_by_zoom_linesearch` find other points of the same kind. An evaluation is the loss
    with its gradient. After `max_evaluations` the lowest point that meets the first condition is taken, which is w
    itself, with an update of 0, where there is none: then w is within rounding of a minimum. `update` takes the keyword
    `value_fn`, the loss as a function of the parameters, and, if they are at hand, its `value` and `grad` there.
    Raises `ValueError` unless both factors lie in [0, 1) and `sufficient` is the smaller.
    """
    within("[0, 1)", sufficient=sufficient)
    within("[0, 1)", curvature=curvature)
    at_least_static(1, max_evaluations=max_evaluations)
    if isinstance(sufficient, float) and isinstance(curvature, float) and not sufficient < curvature:
        raise ValueError(f"sufficient must be smaller than curvature, got {sufficient} and {curvature}")

    def init(params: PyTree) -> StrongWolfeState:
        dtype = widest(params)
        return StrongWolfeState(scalar(params, dtype=dtype), scalar(params, value=jnp.inf, dtype=dtype), zeros(params))

    def update(
        updates: PyTree,
        state: StrongWolfeState,
        params: PyTree,
        *,
        value_fn: ValueFn,
        value: Array | None = None,
        grad: PyTree = None,
        **others: Any,
    ) -> tuple[PyTree, StrongWolfeState]:
        del state, others
        start, gradient = start_of(value_fn, params, updates, value, grad)
        steps = _Conditions(start, like(sufficient, start.value), like(curvature, start.value))
        line = points_along(value_fn, params, updates)
        low, gradient = _bracket_and_zoom(line, steps, gradient, max_evaluations=max_evaluations)
        return scaled(updates, low.size), StrongWolfeState(low.size, low.value, gradient)

    return with_extra(init, update)


class _Conditions(NamedTuple):
    """The strong Wolfe conditions on the line from `start`."""

    start: Point
    sufficient: Scalar
    curvature: Scalar

    def too_high(self, point: Point) -> Array:
        """Whether the first condition fails, or anything is not finite."""
        limit = self.start.value + self.sufficient * point.size * self.start.slope
        return ~(point.value <= limit) | ~jnp.isfinite(point.slope)

    def flat(self, point: Point) -> Array:
        """Whether the second condition holds."""
        return jnp.abs(point.slope) <= self.curvature * jnp.abs(self.start.slope)


class _Bracket(NamedTuple):
    """A search under way."""

    low: Point  # the lowest point known that meets the first condition
    gradient: PyTree  # there
    high: Point  # the other end, at infinity until a minimum is bracketed
    trial: Scalar  # the next t
    evaluations: Array
    done: Array


def _bracket_and_zoom(
    line: Callable[[Scalar], tuple[Point, PyTree]], rule: _Conditions, gradient: PyTree, *, max_evaluations: int
) -> tuple[Point, PyTree]:
    """The point that is accepted, and the gradient there.

    Both algorithms of the book treat a trial alike, once "no bracket yet" is one whose far end is at infinity.
    """

    def step(now: _Bracket) -> _Bracket:
        point, new = line(now.trial)
        above = rule.too_high(point) | (point.value >= now.low.value)
        turned = (point.slope >= 0) == (now.high.size > now.low.size)
        low, gradient = _select(above, (now.low, now.gradient), (point, new))
        high = _select(above, point, _select(turned, now.low, now.high))
        trial = jnp.where(jnp.isinf(high.size), 2 * point.size, _between(low, high))
        return _Bracket(low, gradient, high, trial, now.evaluations + 1, ~above & rule.flat(point))

    one, start = jnp.ones_like(rule.start.size), rule.start
    first = _Bracket(
        start, gradient, start._replace(size=jnp.inf * one), one, jnp.zeros((), jnp.int32), ~(start.slope < 0)
    )
    last = while_loop(lambda now: ~now.done & (now.evaluations < max_evaluations), step, first)
    return last.low, last.gradient


def _between(low: Point, high: Point) -> Scalar:
    """Where the cubic through both points has its minimum, kept off both ends; the middle where there is no cubic."""
    width = high.size - low.size
    a, b, rise = low.slope * width, high.slope * width, high.value - low.value
    inflection = a + b - 3 * rise
    root = jnp.sqrt(jnp.square(inflection) - a * b)
    part = 1 - (b + root - inflection) / (b - a + 2 * root)
    return low.size + width * jnp.where(jnp.isfinite(part), jnp.clip(part, 0.1, 0.9), 0.5)


def _select(condition: Array, a: Any, b: Any) -> Any:
    return jax.tree.map(lambda x, y: jnp.where(condition, x, y), a, b)
