"""The compiled program of a recipe: an epoch and an evaluation as one call each, over data on the devices."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from fjdl.batch import EPOCH, EXAMPLE_MASK, INDEX, of_batch, with_reserved
from fjdl.data.batches import epoch_indices, sequential_indices, steps_per_epoch, take
from fjdl.data.source import Source, to_arrays
from fjdl.errors import UsageError
from fjdl.metrics import Metric
from fjdl.metrics.state.mean import mean
from fjdl.numerics import safe_divide
from fjdl.train.mesh import check_batch, replicated, spread
from fjdl.train.recipe import Recipe
from fjdl.train.state import Stream, TrainState, evaluated_params, init_state, remember, stream_key
from fjdl.train.step import StepReport, make_eval_step, make_train_step
from fjdl.typing import Array

Arrays = Mapping[str, Array]
CAUSES = ("loss", "penalty", "gradient")  # of a refused step: the first that was not finite


class EpochReport(NamedTuple):
    """What one epoch tells, all scalars."""

    loss: Array  # mean over the epoch's examples, in nats for a cross entropy
    penalty: Array  # mean over its steps; 0 for a recipe without one
    gradient_norm: Array  # largest of the finite ones
    bad: Array  # steps refused in this epoch
    last_bad_step: Array  # number of the last of them, -1 where none was
    last_bad_cause: Array  # what was not finite there, an index of `CAUSES`
    worst_streak: Array  # refused steps in a row, at worst


class Tally(NamedTuple):
    """What the steps of an epoch add up to, all scalars."""

    loss: Array  # sum over examples
    examples: Array  # number of them that count
    penalty: Array  # sum over steps
    steps: Array  # number of them that count
    gradient_norm: Array
    bad: Array
    last_bad_step: Array
    last_bad_cause: Array
    worst_streak: Array


class SingleBatches(NamedTuple):
    """Jitted functions for batches that come one by one."""

    start: Callable[[], Tally]
    step: Callable[[TrainState, Tally, Arrays], tuple[TrainState, Tally]]
    finish: Callable[[Tally], EpochReport]
    evaluate_start: Callable[[], dict[str, Any]]
    evaluate_step: Callable[[dict[str, Any], TrainState, Arrays], dict[str, Any]]
    evaluate_finish: Callable[[dict[str, Any]], dict[str, Any]]


class Program(NamedTuple):
    """Jitted functions of one recipe on one mesh."""

    init: Callable[[], TrainState]
    epoch: Callable[[TrainState, Arrays], tuple[TrainState, EpochReport]]
    evaluate: Callable[[TrainState, Arrays], dict[str, Any]]
    remember: Callable[[TrainState, Array], TrainState]
    single: SingleBatches
    steps_per_epoch: int


def place(source: Source, mesh: Mesh) -> dict[str, Array]:
    """All examples on every device, in the data set's own dtypes; raises `UsageError` for a streamed source."""
    if source.streamed:
        raise UsageError("the data must fit on the device for this, got a source whose examples are streamed")
    return jax.device_put(to_arrays(source), replicated(mesh))


def compile_program(recipe: Recipe, mesh: Mesh, *, examples: int, example: Mapping[str, Any]) -> Program:
    """The program for a training set of that many examples like `example`; nothing runs yet."""
    check_batch(recipe.batch_size // recipe.accumulate, mesh)
    per_epoch = steps_per_epoch(examples, recipe.batch_size)
    steps = per_epoch * recipe.epochs
    one = with_reserved({name: jnp.asarray(array)[None] for name, array in example.items()})
    everywhere = replicated(mesh)
    return Program(
        init=jax.jit(
            lambda: init_state(recipe, of_batch("inputs", recipe.inputs, one), steps=steps), out_shardings=everywhere
        ),
        epoch=jax.jit(partial(_epoch, recipe, mesh, steps), donate_argnums=0, out_shardings=everywhere),
        evaluate=jax.jit(partial(_evaluate, recipe, mesh), out_shardings=everywhere),
        remember=jax.jit(partial(remember, mode=recipe.mode), donate_argnums=0, out_shardings=everywhere),
        single=SingleBatches(
            start=jax.jit(_start, out_shardings=everywhere),
            step=jax.jit(partial(_step, recipe, mesh, steps), donate_argnums=(0, 1), out_shardings=everywhere),
            finish=jax.jit(_finish, out_shardings=everywhere),
            evaluate_start=jax.jit(partial(_evaluate_start, recipe), out_shardings=everywhere),
            evaluate_step=jax.jit(partial(_evaluate_step, recipe, mesh), donate_argnums=0, out_shardings=everywhere),
            evaluate_finish=jax.jit(partial(_evaluate_finish, recipe), out_shardings=everywhere),
        ),
        steps_per_epoch=per_epoch,
    )


def evaluation_batch(recipe: Recipe, length: int, mesh: Mesh) -> int:
    """Examples evaluated at a time: four training batches up to 1024, or one; a multiple of the devices."""
    size = max(recipe.batch_size, min(4 * recipe.batch_size, 1024))
    return -(-min(size, length) // mesh.size) * mesh.size


def _epoch(recipe: Recipe, mesh: Mesh, steps: int, state: TrainState, arrays: Arrays) -> tuple[TrainState, EpochReport]:
    length = next(iter(arrays.values())).shape[0]
    epoch = state.step // steps_per_epoch(length, recipe.batch_size)
    order = epoch_indices(stream_key(recipe.seed, Stream.ORDER), epoch, length=length, batch_size=recipe.batch_size)

    def body(carry: tuple[TrainState, Tally], row: tuple[Array, Array]) -> tuple[tuple[TrainState, Tally], None]:
        indices, mask = spread(row, mesh)
        when = {INDEX: indices, EPOCH: jnp.full_like(indices, epoch), EXAMPLE_MASK: mask}
        return _step(recipe, mesh, steps, *carry, with_reserved(take(arrays, indices), **when)), None

    (state, tally), _ = jax.lax.scan(body, (state, _start()), order)
    return state, _finish(tally)


def _start() -> Tally:
    zero, none = jnp.zeros(()), jnp.zeros((), jnp.int32)
    return Tally(
        loss=zero,
        examples=zero,
        penalty=zero,
        steps=zero,
        gradient_norm=zero,
        bad=none,
        last_bad_step=none - 1,
        last_bad_cause=none,
        worst_streak=none,
    )


def _step(
    recipe: Recipe, mesh: Mesh, steps: int, state: TrainState, tally: Tally, batch: Arrays
) -> tuple[TrainState, Tally]:
    new, report = make_train_step(recipe, mesh, steps=steps)(state, spread(dict(batch), mesh))
    good = ~report.bad
    return new, Tally(
        loss=tally.loss + jnp.where(good, report.loss, 0.0),
        examples=tally.examples + jnp.where(good, report.examples, 0.0),
        penalty=tally.penalty + jnp.where(good, report.penalty, 0.0),
        steps=tally.steps + good,
        gradient_norm=jnp.maximum(tally.gradient_norm, jnp.where(good, report.gradient_norm, 0.0)),
        bad=tally.bad + report.bad,
        last_bad_step=jnp.where(report.bad, state.step, tally.last_bad_step),
        last_bad_cause=jnp.where(report.bad, _cause(report), tally.last_bad_cause),
        worst_streak=jnp.maximum(tally.worst_streak, new.streak),
    )


def _cause(report: StepReport) -> Array:
    """The place in `CAUSES` of what was not finite first."""
    finite = jnp.stack([jnp.isfinite(report.loss), jnp.isfinite(report.penalty), jnp.isfinite(report.gradient_norm)])
    return jnp.argmin(finite).astype(jnp.int32)


def _finish(tally: Tally) -> EpochReport:
    return EpochReport(
        loss=safe_divide(tally.loss, tally.examples, otherwise=jnp.nan),
        penalty=safe_divide(tally.penalty, tally.steps, otherwise=jnp.nan),
        gradient_norm=tally.gradient_norm,
        bad=tally.bad,
        last_bad_step=tally.last_bad_step,
        last_bad_cause=tally.last_bad_cause,
        worst_streak=tally.worst_streak,
    )


def _evaluate(recipe: Recipe, mesh: Mesh, state: TrainState, arrays: Arrays) -> dict[str, Any]:
    """Every example counts once; the loss is the mean over examples."""
    length = next(iter(arrays.values())).shape[0]

    def body(states: dict[str, Any], row: tuple[Array, Array]) -> tuple[dict[str, Any], None]:
        indices, mask = spread(row, mesh)
        batch = with_reserved(take(arrays, indices), **{EXAMPLE_MASK: mask})
        return _evaluate_step(recipe, mesh, states, state, batch), None

    rows = sequential_indices(length=length, batch_size=evaluation_batch(recipe, length, mesh))
    return _evaluate_finish(recipe, jax.lax.scan(body, _evaluate_start(recipe), rows)[0])


def _measured(recipe: Recipe) -> dict[str, Metric]:
    return {**recipe.metrics, "loss": mean()}


def _evaluate_start(recipe: Recipe) -> dict[str, Any]:
    return {name: metric.init() for name, metric in _measured(recipe).items()}


def _evaluate_step(
    recipe: Recipe, mesh: Mesh, states: dict[str, Any], state: TrainState, batch: Arrays
) -> dict[str, Any]:
    return make_eval_step(recipe)(states, evaluated_params(state), state.stats, spread(dict(batch), mesh))


def _evaluate_finish(recipe: Recipe, states: dict[str, Any]) -> dict[str, Any]:
    return {name: metric.compute(states[name]) for name, metric in _measured(recipe).items()}
