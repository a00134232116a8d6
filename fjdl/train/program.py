"""The compiled program of a recipe: an epoch and an evaluation as one call each, over data on the devices."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from fjdl.data.batches import epoch_indices, sequential_indices, steps_per_epoch, take
from fjdl.data.source import Source, to_arrays
from fjdl.metrics import mean
from fjdl.numerics import safe_divide
from fjdl.train.mesh import check_batch, replicated, spread
from fjdl.train.recipe import Recipe
from fjdl.train.state import Stream, TrainState, evaluated_params, init_state, remember, stream_key
from fjdl.train.step import make_eval_step, make_train_step
from fjdl.typing import Array

Arrays = Mapping[str, Array]


class EpochReport(NamedTuple):
    """What one epoch tells, all scalars."""

    loss: Array  # mean over the epoch's examples, in nats for a cross entropy
    gradient_norm: Array  # largest of the finite ones
    bad: Array  # steps refused in this epoch
    last_bad_step: Array  # number of the last of them, -1 where none was
    worst_streak: Array  # refused steps in a row, at worst


class Program(NamedTuple):
    """Jitted functions of one recipe on one mesh."""

    init: Callable[[], TrainState]
    epoch: Callable[[TrainState, Arrays], tuple[TrainState, EpochReport]]
    evaluate: Callable[[TrainState, Arrays], dict[str, Any]]
    remember: Callable[[TrainState, Array], TrainState]
    steps_per_epoch: int


def place(source: Source, mesh: Mesh) -> dict[str, Array]:
    """All examples on every device, in the data set's own dtypes."""
    return jax.device_put(to_arrays(source), replicated(mesh))


def compile_program(recipe: Recipe, mesh: Mesh, *, examples: int, example: Mapping[str, Any]) -> Program:
    """The program for a training set of that many examples like `example`; nothing runs yet."""
    check_batch(recipe.batch_size // recipe.accumulate, mesh)
    per_epoch = steps_per_epoch(examples, recipe.batch_size)
    steps = per_epoch * recipe.epochs
    one = {name: jnp.asarray(array)[None] for name, array in example.items()}
    everywhere = replicated(mesh)
    return Program(
        init=jax.jit(lambda: init_state(recipe, recipe.inputs(one), steps=steps), out_shardings=everywhere),
        epoch=jax.jit(partial(_epoch, recipe, mesh, steps), donate_argnums=0, out_shardings=everywhere),
        evaluate=jax.jit(partial(_evaluate, recipe, mesh), out_shardings=everywhere),
        remember=jax.jit(partial(remember, mode=recipe.mode), donate_argnums=0, out_shardings=everywhere),
        steps_per_epoch=per_epoch,
    )


def _epoch(recipe: Recipe, mesh: Mesh, steps: int, state: TrainState, arrays: Arrays) -> tuple[TrainState, EpochReport]:
    length = next(iter(arrays.values())).shape[0]
    train_step = make_train_step(recipe, mesh, steps=steps)
    epoch = state.step // steps_per_epoch(length, recipe.batch_size)
    order = epoch_indices(stream_key(recipe.seed, Stream.ORDER), epoch, length=length, batch_size=recipe.batch_size)

    def body(state: TrainState, row: tuple[Array, Array]) -> tuple[TrainState, Any]:
        indices, mask = spread(row, mesh)
        new, report = train_step(state, {**take(arrays, indices), "mask": mask})
        return new, (report, jnp.where(report.bad, state.step, -1), new.streak)

    state, (reports, bad_steps, streaks) = jax.lax.scan(body, state, order)
    good = ~reports.bad
    loss, count = (jnp.sum(jnp.where(good, x, 0.0)) for x in (reports.loss, reports.examples))
    return state, EpochReport(
        loss=safe_divide(loss, count, otherwise=jnp.nan),
        gradient_norm=jnp.max(jnp.where(good, reports.gradient_norm, 0.0)),
        bad=jnp.sum(reports.bad),
        last_bad_step=jnp.max(bad_steps),
        worst_streak=jnp.max(streaks),
    )


def _evaluate(recipe: Recipe, mesh: Mesh, state: TrainState, arrays: Arrays) -> dict[str, Any]:
    """Every example counts once; the loss is the mean over examples."""
    length = next(iter(arrays.values())).shape[0]
    batch_size = _evaluation_batch(recipe.batch_size, length, mesh.size)
    metrics = {**recipe.metrics, "loss": mean()}
    eval_step = make_eval_step(recipe)
    params = evaluated_params(state)

    def body(states: dict[str, Any], row: tuple[Array, Array]) -> tuple[dict[str, Any], None]:
        indices, mask = spread(row, mesh)
        return eval_step(states, params, state.stats, {**take(arrays, indices), "mask": mask}), None

    rows = sequential_indices(length=length, batch_size=batch_size)
    states, _ = jax.lax.scan(body, {name: metric.init() for name, metric in metrics.items()}, rows)
    return {name: metric.compute(states[name]) for name, metric in metrics.items()}


def _evaluation_batch(batch_size: int, length: int, devices: int) -> int:
    """Four training batches, no more than the data, a multiple of the devices."""
    return -(-min(4 * batch_size, length) // devices) * devices
