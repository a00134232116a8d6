"""One training step and one evaluation step, as pure functions of the recipe."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from fjdl.losses.reduce import total
from fjdl.metrics import mean
from fjdl.metrics.base import counted
from fjdl.numerics import safe_divide
from fjdl.optim import ema_update
from fjdl.train.mesh import spread
from fjdl.train.recipe import Batch, Recipe
from fjdl.train.state import Stream, TrainState, stream_key
from fjdl.tree import cast, global_norm
from fjdl.typing import Array, PRNGKey, PyTree


class StepReport(NamedTuple):
    """What one step tells, all scalars."""

    loss: Array  # sum over the batch's examples, float32
    examples: Array  # number of them that count, float32
    gradient_norm: Array  # float32
    bad: Array  # bool: the step was refused


def make_train_step(
    recipe: Recipe, mesh: Mesh, *, steps: int
) -> Callable[[TrainState, Batch], tuple[TrainState, StepReport]]:
    """`(state, batch) -> (state, report)`.

    Loss and gradient norm are checked before the update: where one is not finite, everything but the counters stays.
    """
    optimizer = recipe.optimizer(steps)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, StepReport]:
        if recipe.augment is not None:
            batch = recipe.augment(_key(recipe, Stream.AUGMENT, state.step), batch)
        gradients, stats, loss, count = _gradients(recipe, mesh, state, batch)
        norm = global_norm(gradients)
        good = jnp.isfinite(loss) & jnp.isfinite(norm)
        updates, opt = optimizer.update(gradients, state.opt, state.params)
        params = optax.apply_updates(state.params, updates)
        ema = ema_update(state.ema, params, decay=recipe.ema) if recipe.ema is not None else ()
        new = state._replace(params=params, stats=stats, opt=opt, ema=ema)
        state = jax.tree.map(lambda a, b: jnp.where(good, a, b), new, state)
        state = state._replace(
            step=state.step + 1,
            skipped=state.skipped + ~good,
            streak=jnp.where(good, 0, state.streak + 1),
        )
        return state, StepReport(loss=loss, examples=count, gradient_norm=norm, bad=~good)

    return step


def make_eval_step(recipe: Recipe) -> Callable[..., dict[str, Any]]:
    """`(metric states, params, stats, batch) -> metric states`, with the loss among the metrics."""

    def step(states: dict[str, Any], params: PyTree, stats: PyTree, batch: Batch) -> dict[str, Any]:
        inputs = cast(recipe.inputs(batch), recipe.dtype)
        outputs, _ = recipe.model.apply(params, stats, inputs, train=False)
        values = recipe.loss(outputs, batch)
        new = {name: metric.update(states[name], outputs, batch) for name, metric in recipe.metrics.items()}
        return {
            **new,
            "loss": mean().update(states["loss"], values.reshape(-1), weights=_mask(values, batch).reshape(-1)),
        }

    return step


def _gradients(recipe: Recipe, mesh: Mesh, state: TrainState, batch: Batch) -> tuple[PyTree, PyTree, Array, Array]:
    """Gradient of the mean loss, statistics, sum of losses, number of examples; summed first, divided once."""
    key = _key(recipe, Stream.DROPOUT, state.step)

    def objective(params: PyTree, stats: PyTree, micro: Batch, key: PRNGKey) -> tuple[Array, tuple[Array, PyTree]]:
        inputs = cast(recipe.inputs(micro), recipe.dtype)
        outputs, stats = recipe.model.apply(params, stats, inputs, train=True, key=key)
        values = recipe.loss(outputs, micro)
        loss, count = total(values, mask=_mask(values, micro))
        return loss, (count, stats)

    def add(carry: Any, part: Any) -> tuple[Any, None]:
        gradients, stats, loss, count = carry
        micro, number = part
        (more_loss, (more, stats)), new = jax.value_and_grad(objective, has_aux=True)(
            state.params, stats, micro, jax.random.fold_in(key, number)
        )
        return (jax.tree.map(jnp.add, gradients, new), stats, loss + more_loss, count + more), None

    parts = jax.tree.map(lambda x: x.reshape(recipe.accumulate, -1, *x.shape[1:]), batch)
    parts = (spread(parts, mesh, axis=1), jnp.arange(recipe.accumulate))
    start = (jax.tree.map(jnp.zeros_like, state.params), state.stats, jnp.zeros(()), jnp.zeros(()))
    carry, _ = jax.lax.scan(add, start, parts, unroll=recipe.accumulate == 1)
    gradients, stats, loss, count = carry
    return jax.tree.map(lambda g: safe_divide(g, count), gradients), stats, loss, count


def _mask(values: Array, batch: Batch) -> Array:
    return counted(batch.get("mask"), values.shape)


def _key(recipe: Recipe, stream: Stream, step: Array) -> PRNGKey:
    return jax.random.fold_in(stream_key(recipe.seed, stream), step)
