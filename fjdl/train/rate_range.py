"""The learning-rate range test: one short training in which the rate grows from far too small to far too large."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from fjdl.numerics import safe_divide
from fjdl.optim.base import LearningRate
from fjdl.schedules.base import Schedule, Step
from fjdl.train.inspection import check_source
from fjdl.train.prepare import prepare
from fjdl.train.program import at_width
from fjdl.train.recipe import Recipe
from fjdl.train.resident import Arrays, Row, batch_of, length_of, place
from fjdl.train.state import Stream, TrainState, stream_key
from fjdl.train.step import make_train_step
from fjdl.typing import Array, Float, typed


class RateRange(NamedTuple):
    """What a range test tells, one number for each step and three for the whole."""

    rates: Array  # shape (steps,), float32: the learning rate of each step
    losses: Array  # shape (steps,), float32: the mean loss of its batch, before the update
    smoothed: Array  # shape (steps,), float32: their moving average
    counted: Array  # shape (), int32: steps before divergence
    steepest: Array  # shape (), float32: the rate at which the loss falls fastest, NaN where it never falls
    largest: Array  # shape (), float32: a tenth of the rate at which the loss is lowest, NaN where it never falls


def learning_rate_range(
    recipe: Recipe,
    optimizer: Callable[[LearningRate], optax.GradientTransformation],
    *,
    low: float = 1e-6,
    high: float = 10.0,
    steps: int = 200,
    devices: list[Any] | None = None,
) -> RateRange:
    """Trains the recipe's model for `steps` steps at rates that grow geometrically from `low` to `high`.

    Smith 2017, arXiv:1506.01186, section 3.3, with a rate that grows by a factor in place of a summand, see
    `suggested_rates` for what is read from it. `optimizer` takes the place of the recipe's own, whose rate is built in:
    `adam`, or `partial(momentum, momentum=0.95)`. Everything else is the recipe's, the order of the data and the first
    parameters too, and only the training part is looked at. Raises `ValueError` unless 0 < low < high and steps ≥ 2.
    """
    if not (0 < low < high < math.inf and steps >= 2):
        raise ValueError(f"a range needs 0 < low < high and at least 2 steps, got {low}, {high} and {steps} steps")
    schedule = _growing(low, high, steps)
    recipe = dataclasses.replace(recipe, optimizer=lambda _: optimizer(schedule))
    _, splits, mesh, program = prepare(recipe, devices=devices)
    if not splits.train.streamed:
        check_source(recipe, splits.train, part="train")

    @jax.jit
    def run(arrays: Arrays) -> RateRange:
        losses = _losses(recipe, mesh, program.begin(), arrays, steps=steps)
        return suggested_rates(jax.vmap(schedule)(jnp.arange(steps, dtype=jnp.int32)), losses)

    return run(place(splits.train, mesh, resident=recipe.resident))


@typed
def suggested_rates(
    rates: Float[Array, " steps"], losses: Float[Array, " steps"], *, smoothing: float = 0.9, divergence: float = 4.0
) -> RateRange:
    """Smooths the losses, stops at divergence, and finds where they fall fastest and where they are lowest.

    The moving average is m ← smoothing · m + (1 − smoothing) · loss, divided by 1 − smoothingᵗ. Steps count up to the
    first whose loss is not finite or whose average exceeds `divergence` times the lowest so far. The slope is that of
    the average across a tenth of all steps, in which the logarithm of the rate grows evenly. Raises `ValueError` for
    `smoothing` outside [0, 1) and for `divergence` ≤ 1.
    """
    if not (0 <= smoothing < 1 and divergence > 1):
        raise ValueError(f"smoothing must lie in [0, 1) and divergence exceed 1, got {smoothing} and {divergence}")
    smoothed = _smoothed(jnp.where(jnp.isfinite(losses), losses, jnp.inf), smoothing)
    diverged = ~jnp.isfinite(losses) | (smoothed > divergence * jax.lax.cummin(smoothed))
    number = jnp.arange(losses.shape[0], dtype=jnp.int32)
    counted = jnp.min(jnp.where(diverged, number, losses.shape[0]))
    lowest = jnp.argmin(jnp.where(number < counted, smoothed, jnp.inf))
    window = max(1, losses.shape[0] // 20)
    fall = smoothed[jnp.minimum(number + window, lowest)] - smoothed[jnp.maximum(number - window, 0)]
    fastest = jnp.argmin(jnp.where(number < lowest, fall, jnp.inf))
    nothing = jnp.where(lowest > 0, 0.0, jnp.nan)
    return RateRange(rates, losses, smoothed, counted, rates[fastest] + nothing, rates[lowest] / 10 + nothing)


def _losses(recipe: Recipe, mesh: Mesh, state: TrainState, arrays: Arrays, *, steps: int) -> Float[Array, " steps"]:
    """The mean loss of each of so many of the recipe's own training steps, epoch after epoch."""
    length = length_of(arrays)
    order, per_epoch = recipe.order, recipe.order.steps(length, recipe.batch_size)
    epochs = jnp.arange(-(-steps // per_epoch))
    key, step = stream_key(recipe.seed, Stream.ORDER), make_train_step(recipe, mesh, steps=steps)
    rows = jax.vmap(lambda epoch: order.rows(key, epoch, length=length, batch_size=recipe.batch_size))(epochs)
    rows = jax.tree.map(lambda x: x.reshape(-1, recipe.batch_size)[:steps], rows)

    def body(state: TrainState, row: Row) -> tuple[TrainState, Array]:
        batch = batch_of(arrays, row, mesh, order=order, epoch=state.step // per_epoch)
        state, report = at_width(order, row[0], step, state, batch)
        return state, safe_divide(report.loss, report.examples)

    return jax.lax.scan(body, state, rows)[1]


def _growing(low: float, high: float, steps: int) -> Schedule:
    """`low` at step 0, `high` at step `steps` − 1, by the same factor each step."""

    def schedule(step: Step) -> Float[Array, "..."]:
        return low * jnp.exp(jnp.asarray(step).astype(jnp.float32) * (math.log(high / low) / (steps - 1)))

    return schedule


def _smoothed(losses: Float[Array, " steps"], smoothing: float) -> Float[Array, " steps"]:
    """Their exponential moving average from 0, corrected for that start."""

    def step(carry: tuple[Array, Array], loss: Array) -> tuple[tuple[Array, Array], Array]:
        mean, weight = (smoothing * old + (1 - smoothing) * new for old, new in zip(carry, (loss, 1.0), strict=True))
        return (mean, weight), mean / weight

    zero = jnp.zeros((), losses.dtype)
    return jax.lax.scan(step, (zero, zero), losses)[1]
