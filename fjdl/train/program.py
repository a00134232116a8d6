"""The compiled program of a recipe: an epoch and an evaluation as one call each, over data on the devices."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from fjdl.batch import alone
from fjdl.data.orders import Order
from fjdl.numerics import safe_divide
from fjdl.train.evaluation import Evaluator, Results, evaluator
from fjdl.train.layout import gathered, shardings_beside
from fjdl.train.mesh import check_batch, replicated, spread
from fjdl.train.recipe import Batch, Recipe
from fjdl.train.resident import Arrays, Row, batch_of, length_of
from fjdl.train.state import Stream, TrainState, evaluated_params, init_state, remember, stream_key
from fjdl.train.step import StepReport, make_train_step
from fjdl.typing import Array

if TYPE_CHECKING:
    from fjdl.train.weights import Weights

CAUSES = ("loss", "penalty", "gradient", "scaled gradient")  # of a refused step: the first that was not finite


class EpochReport(NamedTuple):
    """What one epoch tells, all scalars."""

    loss: Array  # mean over the epoch's examples, in nats for a cross entropy
    penalty: Array  # mean over its steps; 0 for a recipe without one
    gradient_norm: Array  # largest of the finite ones
    loss_scale: Array  # after the last step; 1 for a recipe without one
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
    loss_scale: Array
    bad: Array
    last_bad_step: Array
    last_bad_cause: Array
    worst_streak: Array


class SingleBatches(NamedTuple):
    """Jitted functions for training batches that come one by one."""

    start: Callable[[], Tally]
    step: Callable[[TrainState, Tally, Batch], tuple[TrainState, Tally]]
    finish: Callable[[Tally], EpochReport]


class Program(NamedTuple):
    """Jitted functions of one recipe on one mesh."""

    init: Callable[..., TrainState]  # with what is trained by path, see `init_state`; all is drawn without
    weights: "Callable[[], Weights | None]"  # that the recipe begins with, read at each call
    epoch: Callable[[TrainState, Arrays], tuple[TrainState, EpochReport]]
    part: Callable[[TrainState, Tally, Arrays, Array], tuple[TrainState, Tally, EpochReport]]  # see `_part`
    evaluator: Evaluator
    remember: Callable[[TrainState, Array], TrainState]
    single: SingleBatches
    steps_per_epoch: int
    places: Any  # where the state lives: one sharding for all of it, or one for each array

    def begin(self) -> TrainState:
        """The state of a new run: drawn, with the weights in their places that the recipe begins with."""
        found = self.weights()
        return self.init() if found is None else self.init(found.arrays)

    def evaluate(self, state: TrainState, arrays: Arrays) -> Results:
        """The results of a state on all these examples, which lie on the devices."""
        return self.evaluator.whole(evaluated_params(state), state.stats, arrays)


def compile_program(recipe: Recipe, mesh: Mesh, *, examples: int, example: Mapping[str, Any]) -> Program:
    """The program for a training set of that many examples like `example`; nothing runs yet."""
    check_batch(recipe.batch_size // recipe.accumulate, mesh)
    per_epoch = recipe.order.steps(examples, recipe.batch_size)
    steps = per_epoch * recipe.epochs
    one, everywhere = alone(example), replicated(mesh)
    begin = partial(init_state, recipe, recipe.network.seen(one), steps=steps)
    places, laid_out = state_places(recipe, mesh, begin), _laid_out(recipe, mesh)
    both = (places, everywhere)
    return Program(
        init=jax.jit(begin, out_shardings=places),
        weights=partial(weights_of, recipe, begin),
        epoch=jax.jit(partial(_epoch, laid_out, mesh, steps), donate_argnums=0, out_shardings=both),
        part=jax.jit(
            partial(_part, laid_out, mesh, steps), donate_argnums=(0, 1), out_shardings=(places, everywhere, everywhere)
        ),
        evaluator=evaluator_of(recipe, mesh),
        remember=jax.jit(partial(remember, mode=recipe.mode), donate_argnums=0, out_shardings=places),
        single=SingleBatches(
            start=jax.jit(_start, out_shardings=everywhere),
            step=jax.jit(partial(_step, laid_out, mesh, steps), donate_argnums=(0, 1), out_shardings=both),
            finish=jax.jit(_finish, out_shardings=everywhere),
        ),
        steps_per_epoch=per_epoch,
        places=places,
    )


def weights_of(recipe: Recipe, begin: Callable[[], TrainState]) -> "Weights | None":
    """The weights that a new run of the recipe begins with; None where all is drawn."""
    if recipe.origin is None:
        return None
    from fjdl.train.weights import weights_for

    state = jax.eval_shape(begin)
    return weights_for(recipe.origin, state.params, state.stats)


def state_places(recipe: Recipe, mesh: Mesh, begin: Callable[[], TrainState]) -> Any:
    """Where the state that `begin` makes lives: one sharding for all of it, or one for each array.

    Raises `UsageError` for a layout that does not fit the parameters.
    """
    everywhere = replicated(mesh)
    if recipe.layout.plain:
        return everywhere
    state = jax.eval_shape(begin)
    beside = partial(shardings_beside, recipe.layout, mesh, state.params)
    others = {name: jax.tree.map(lambda _: everywhere, part) for name, part in state._asdict().items()}
    laid_out = {name: beside(getattr(state, name)) for name in ("params", "opt", "ema")}
    return TrainState(**{**others, **laid_out})


def _laid_out(recipe: Recipe, mesh: Mesh) -> Recipe:
    """The recipe, whose model brings together the parameters that devices share."""
    return dataclasses.replace(recipe, model=gathered(recipe.model, recipe.layout, mesh))


def evaluator_of(recipe: Recipe, mesh: Mesh) -> Evaluator:
    """The evaluation of a recipe: four training batches up to 1024 examples at a time, or one."""
    return evaluator(
        _laid_out(recipe, mesh).model,
        recipe.metrics,
        inputs=recipe.inputs,
        loss=recipe.loss,
        batch_size=max(recipe.batch_size, min(4 * recipe.batch_size, 1024)),
        precision=recipe.precision,
        mesh=mesh,
        order=recipe.evaluation_order,
        carry=recipe.carry,
        workers=recipe.workers,
        resident=recipe.resident,
    )


def _epoch(recipe: Recipe, mesh: Mesh, steps: int, state: TrainState, arrays: Arrays) -> tuple[TrainState, EpochReport]:
    rows, step = _rows_and_step(recipe, mesh, steps, state, arrays)
    (state, tally), _ = jax.lax.scan(lambda carry, row: (step(carry, row), None), (state, _start()), rows)
    return state, _finish(tally)


def _part(
    recipe: Recipe, mesh: Mesh, steps: int, state: TrainState, tally: Tally, arrays: Arrays, bounds: Array
) -> tuple[TrainState, Tally, EpochReport]:
    """The steps of an epoch from `bounds[0]` to `bounds[1] - 1`, and the report of all of its steps so far.

    One program does for all bounds, so the results do not depend on where an epoch is cut. `tally` is that of the
    steps before, and does not count at the first.
    """
    rows, step = _rows_and_step(recipe, mesh, steps, state, arrays)
    tally = jax.tree.map(lambda old, new: jnp.where(bounds[0] == 0, new, old), tally, _start())

    def body(carry: tuple[Array, TrainState, Tally]) -> tuple[Array, TrainState, Tally]:
        number, *before = carry
        return number + 1, *step(tuple(before), jax.tree.map(partial(_row, number=number), rows))

    _, state, tally = jax.lax.while_loop(lambda carry: carry[0] < bounds[1], body, (bounds[0], state, tally))
    return state, tally, _finish(tally)


def _row(rows: Array, *, number: Array) -> Array:
    return jax.lax.dynamic_index_in_dim(rows, number, keepdims=False)


def _rows_and_step(recipe: Recipe, mesh: Mesh, steps: int, state: TrainState, arrays: Arrays) -> tuple[Row, Any]:
    """The batches of the state's epoch, and the step `(state, tally), row -> (state, tally)`."""
    length = length_of(arrays)
    epoch = state.step // recipe.order.steps(length, recipe.batch_size)
    key = stream_key(recipe.seed, Stream.ORDER)
    with jax.named_scope("inputs"):
        rows = recipe.order.rows(key, epoch, length=length, batch_size=recipe.batch_size)

    def step(carry: tuple[TrainState, Tally], row: Row) -> tuple[TrainState, Tally]:
        batch = batch_of(arrays, row, mesh, order=recipe.order, epoch=epoch)
        return at_width(recipe.order, row[0], partial(_step, recipe, mesh, steps), *carry, batch)

    return rows, step


def at_width(order: Order, indices: Array, step: Callable[..., Any], *args: Any) -> Any:
    """Inside `jit`: `step(*args)`, whose last argument is the batch of a row, cut to its width where there are any."""
    if order.kind is None:
        return step(*args)
    branches = [lambda *args, cut=cut: step(*args[:-1], cut(args[-1])) for cut in order.cuts]
    return jax.lax.switch(order.kind(indices), branches, *args)


def _start() -> Tally:
    zero, none = jnp.zeros(()), jnp.zeros((), jnp.int32)
    return Tally(
        loss=zero,
        examples=zero,
        penalty=zero,
        steps=zero,
        gradient_norm=zero,
        loss_scale=zero,
        bad=none,
        last_bad_step=none - 1,
        last_bad_cause=none,
        worst_streak=none,
    )


def _step(
    recipe: Recipe, mesh: Mesh, steps: int, state: TrainState, tally: Tally, batch: Batch
) -> tuple[TrainState, Tally]:
    new, report = make_train_step(recipe, mesh, steps=steps)(state, spread(dict(batch), mesh))
    good = ~report.bad
    return new, Tally(
        loss=tally.loss + jnp.where(good, report.loss, 0.0),
        examples=tally.examples + jnp.where(good, report.examples, 0.0),
        penalty=tally.penalty + jnp.where(good, report.penalty, 0.0),
        steps=tally.steps + good,
        gradient_norm=jnp.maximum(tally.gradient_norm, jnp.where(good, report.gradient_norm, 0.0)),
        loss_scale=report.loss_scale,
        bad=tally.bad + report.bad,
        last_bad_step=jnp.where(report.bad, state.step, tally.last_bad_step),
        last_bad_cause=jnp.where(report.bad, _cause(report), tally.last_bad_cause),
        worst_streak=jnp.maximum(tally.worst_streak, new.streak),
    )


def _cause(report: StepReport) -> Array:
    """The place in `CAUSES` of what was not finite first; a smaller scale of the loss may mend a scaled gradient."""
    found = jnp.where(report.lowered, 3, 2)
    for place, number in ((1, report.penalty), (0, report.loss)):
        found = jnp.where(jnp.isfinite(number), found, place)
    return found


def _finish(tally: Tally) -> EpochReport:
    return EpochReport(
        loss=safe_divide(tally.loss, tally.examples, otherwise=jnp.nan),
        penalty=safe_divide(tally.penalty, tally.steps, otherwise=jnp.nan),
        gradient_norm=tally.gradient_norm,
        loss_scale=tally.loss_scale,
        bad=tally.bad,
        last_bad_step=tally.last_bad_step,
        last_bad_cause=tally.last_bad_cause,
        worst_streak=tally.worst_streak,
    )
