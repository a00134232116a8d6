"""One training step, as a pure function of the recipe."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from fjdl.batch import EXAMPLE_MASK, RESERVED, of_batch
from fjdl.losses.reduce import weighted_sum
from fjdl.metrics.base import counted
from fjdl.numerics import safe_divide
from fjdl.optim import LossScale, ema_update
from fjdl.train.learned import joined, learned
from fjdl.train.mesh import spread
from fjdl.train.precision import at_precision
from fjdl.train.recipe import Batch, Loss, Recipe
from fjdl.train.state import Stream, TrainState, stream_key
from fjdl.tree import global_norm
from fjdl.typing import Array, PRNGKey, PyTree


class StepReport(NamedTuple):
    """What one step tells, all scalars."""

    loss: Array  # sum over the batch's examples, float32
    penalty: Array  # of the parameters before the step, float32; 0 without one
    examples: Array  # number of them that count, float32
    gradient_norm: Array  # float32
    loss_scale: Array  # of the mean loss, after the step; 1 without one
    lowered: Array  # bool: the scale of the loss fell, since scaled gradients left the range of their dtype
    bad: Array  # bool: the step was refused


def make_train_step(
    recipe: Recipe, mesh: Mesh, *, steps: int
) -> Callable[[TrainState, Batch], tuple[TrainState, StepReport]]:
    """`(state, batch) -> (state, report)`.

    What is minimized is the mean loss over the batch's examples plus the recipe's penalty. Loss, penalty and gradient
    norm are checked before the update: where one is not finite, everything but the counters and the scale of the loss
    stays. That scale multiplies the mean loss while its gradient is computed.

    Transformations that ask for it receive the objective's `value` and `grad`, the functions `value_fn` and `grad_fn`
    of parameters, which see the same batch with the same random numbers, and the number of examples as `weight`; for
    the others none of that is computed.
    """
    attempt = _attempt(recipe, mesh, steps)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, StepReport]:
        objective, result, norm, new = attempt(state, batch)
        with jax.named_scope("guard"):
            good = jnp.isfinite(result.value) & jnp.isfinite(norm)
        with jax.named_scope("optimizer"):
            state = jax.tree.map(lambda a, b: jnp.where(good, a, b), new, state)
        scale = recipe.scaling.update(state.scale, good)
        state = state._replace(
            step=state.step + 1,
            skipped=state.skipped + ~good,
            streak=jnp.where(good, 0, state.streak + 1),
            scale=scale,
        )
        return state, StepReport(
            loss=result.loss,
            penalty=result.penalty,
            examples=result.examples,
            gradient_norm=norm,
            loss_scale=_loss_scale(recipe, scale),
            lowered=_loss_scale(recipe, scale) < _loss_scale(recipe, objective.scale),
            bad=~good,
        )

    return at_precision(recipe.precision, step)


class Attempt(NamedTuple):
    """What a step computes before it is judged, by name, for those who look for what is not finite."""

    loss: Array  # sum over the batch's examples
    penalty: Array
    gradient: PyTree  # of each parameter that learns
    parameter: PyTree  # after the step


def make_attempt(recipe: Recipe, mesh: Mesh, *, steps: int) -> Callable[[TrainState, Batch], Attempt]:
    """A training step that is refused for nothing."""
    attempt = _attempt(recipe, mesh, steps)

    def step(state: TrainState, batch: Batch) -> Attempt:
        _, result, _, new = attempt(state, batch)
        return Attempt(result.loss, result.penalty, result.gradients, new.params)

    return at_precision(recipe.precision, step)


def _attempt(recipe: Recipe, mesh: Mesh, steps: int) -> Callable[[TrainState, Batch], Any]:
    """`(state, batch) -> (objective, result, gradient norm, state)`, whatever is finite; counters and scale stay."""
    optimizer = recipe.transformation(steps)

    def attempt(state: TrainState, batch: Batch) -> tuple[_Objective, _Result, Array, TrainState]:
        batch = _augmented(recipe, state, batch)
        parts = _micro_batches(recipe, mesh, (batch, state.carry))
        part = learned(state.params, recipe.frozen)
        whole = partial(joined, state.params)
        objective = _Objective(recipe, whole, state.stats, parts, _dropout_key(recipe, state), state.scale)
        result = objective(part)
        with jax.named_scope("guard"):
            norm = global_norm(result.gradients)
        with jax.named_scope("optimizer"):
            updates, opt = optimizer.update(
                result.gradients,
                state.opt,
                part,
                value=result.value,
                grad=result.gradients,
                value_fn=objective.value,
                grad_fn=lambda params: objective(params).gradients,
                weight=result.examples,
            )
            part = optax.apply_updates(part, updates)
            ema = () if recipe.ema is None else _averaged(recipe, state.ema, part)
        new = state._replace(params=whole(part), stats=result.stats, opt=opt, ema=ema, carry=result.carry)
        return objective, result, norm, new

    return attempt


class Weighed(NamedTuple):
    """What a recipe's loss gives for a batch."""

    values: Array  # [batch, ...], one or more for each example
    mask: Array  # bool, of the same shape: which count, those of the examples that only fill up a batch do not
    weights: Array | None  # of the same shape where the loss weighs its values


def weighed(loss: Loss, outputs: Any, batch: Batch) -> Weighed:
    """The values of a loss, and which of them count by how much.

    Raises `ValueError` unless there is one value, or one array of them, for each example, and a weight for each value
    where there are weights.
    """
    found = of_batch("loss", loss, outputs, batch)
    values, weights = found if isinstance(found, tuple) else (found, None)
    examples = next(iter(jax.tree.leaves(batch))).shape[0]
    if values.shape[:1] != (examples,):
        raise ValueError(
            f"loss must give one value for each of the {examples} examples of a batch, got shape {values.shape}; "
            "losses of fjdl reduce the last axis, so one number per example has shape [n, 1]"
        )
    if weights is not None and weights.shape != values.shape:
        raise ValueError(f"loss must give a weight for each value, got shapes {weights.shape} and {values.shape}")
    return Weighed(values, counted(batch.get(EXAMPLE_MASK), values.shape), weights)


class _Result(NamedTuple):
    """The objective of one step at some parameters, and what it is made of."""

    value: Array  # mean loss over examples plus penalty
    gradients: PyTree  # of the value
    stats: PyTree  # after the forward passes
    carry: PyTree  # of the whole batch, after it
    loss: Array  # sum over examples
    examples: Array  # number of them
    penalty: Array


class _Objective(NamedTuple):
    """What a step minimizes, as a function of the parameters that learn; losses are summed first and divided once."""

    recipe: Recipe
    whole: Callable[[PyTree], PyTree]  # all parameters, from those that learn
    stats: PyTree  # before the step
    parts: tuple[tuple[Batch, PyTree], Array]  # micro-batches and carries along the first axis, with their numbers
    key: PRNGKey
    scale: PyTree  # of the loss, before the step

    def __call__(self, params: PyTree) -> _Result:
        """Value and gradient."""
        gradient = jax.value_and_grad(self._scaled_sum, has_aux=True)

        def add(sums: Any, part: Any) -> tuple[Any, PyTree]:
            gradients, stats, loss, count = sums
            (_, (more_loss, (more, stats, carry))), new = gradient(params, stats, part)
            return (jax.tree.map(jnp.add, gradients, new), stats, loss + more_loss, count + more), carry

        start = (jax.tree.map(jnp.zeros_like, params), self.stats, jnp.zeros(()), jnp.zeros(()))
        (gradients, stats, loss, count), carries = self._scan(add, start)
        gradients = self._scaling().unscale(self.scale, gradients)
        gradients = jax.tree.map(lambda g: safe_divide(g, count), gradients)
        value, penalty = safe_divide(loss, count), jnp.zeros(())
        if self.recipe.penalty is not None:
            penalty, slope = jax.value_and_grad(self._penalty)(params)
            value, gradients = value + penalty, jax.tree.map(jnp.add, gradients, slope)
        carry = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), carries)
        return _Result(value, gradients, stats, carry, loss, count, penalty)

    def value(self, params: PyTree, *, grad_fn: Any = None, weight: Any = None) -> Array:
        """The value alone; optax's line searches hand on all keywords of `update` that are not their own."""
        del grad_fn, weight

        def add(sums: Any, part: Any) -> tuple[Any, None]:
            stats, loss, count = sums
            more_loss, (more, stats, _) = self._sum(params, stats, part)
            return (stats, loss + more_loss, count + more), None

        (_, loss, count), _ = self._scan(add, (self.stats, jnp.zeros(()), jnp.zeros(())))
        return safe_divide(loss, count) + self._penalty(params)

    def _scaled_sum(self, params: PyTree, stats: PyTree, part: Any) -> tuple[Array, tuple[Array, Any]]:
        """What is differentiated, and what `_sum` gives."""
        loss, rest = self._sum(params, stats, part)
        return self._scaling().scale(self.scale, loss), (loss, rest)

    def _scaling(self) -> LossScale:
        """The scaling of a sum in whose place that of the mean is meant; a power of two changes no digit."""
        mean = self.recipe.scaling
        if not jax.tree.leaves(self.scale):
            return mean
        share = 2.0 ** -math.ceil(math.log2(self.recipe.batch_size // self.recipe.accumulate))
        return mean._replace(
            scale=lambda state, loss: mean.scale(state, share * loss),
            unscale=lambda state, gradients: jax.tree.map(lambda g: g / share, mean.unscale(state, gradients)),
        )

    def _sum(self, params: PyTree, stats: PyTree, part: Any) -> tuple[Array, tuple[Array, PyTree, PyTree]]:
        """Sum of the losses of a micro-batch, with the number of its examples, and statistics and carry after it."""
        (batch, carry), number = part
        key = jax.random.fold_in(self.key, number)
        outputs, stats, carry = self.recipe.network(self.whole(params), stats, batch, carry, train=True, key=key)
        with jax.named_scope("loss"):
            values, mask, weights = weighed(self.recipe.loss, outputs, batch)
            loss, count = weighted_sum(values, mask=mask, weights=weights)
        return loss, (count, stats, carry)

    def _penalty(self, params: PyTree) -> Array:
        return _penalty(self.recipe, self.whole(params))

    def _scan(self, add: Callable[[Any, Any], tuple[Any, Any]], start: Any) -> Any:
        return jax.lax.scan(add, start, self.parts, unroll=self.recipe.accumulate == 1)


def _augmented(recipe: Recipe, state: TrainState, batch: Batch) -> Batch:
    """The batch as the training step sees it; reserved entries that the augmentation drops stay."""
    if recipe.augment is None:
        return batch
    reserved = {name: batch[name] for name in RESERVED if name in batch}
    with jax.named_scope("augment"):
        return {**reserved, **of_batch("augment", recipe.augment, _key(recipe, Stream.AUGMENT, state.step), batch)}


def _averaged(recipe: Recipe, ema: PyTree, part: PyTree) -> PyTree:
    """The average of the parameters, which moves where they learn."""
    decay = recipe.ema
    assert decay is not None
    return joined(ema, ema_update(learned(ema, recipe.frozen), part, decay=decay))


def _loss_scale(recipe: Recipe, state: PyTree) -> Array:
    return recipe.scaling.scale(state, jnp.ones(()))


def _penalty(recipe: Recipe, params: PyTree) -> Array:
    with jax.named_scope("loss"):
        penalty = jnp.zeros(()) if recipe.penalty is None else jnp.asarray(recipe.penalty(params))
    if penalty.shape:
        raise ValueError(f"penalty must give one number, got shape {penalty.shape}")
    return penalty


def _micro_batches(recipe: Recipe, mesh: Mesh, batch: tuple[Batch, PyTree]) -> tuple[tuple[Batch, PyTree], Array]:
    parts = jax.tree.map(lambda x: x.reshape(recipe.accumulate, -1, *x.shape[1:]), batch)
    return spread(parts, mesh, axis=1), jnp.arange(recipe.accumulate)


def _dropout_key(recipe: Recipe, state: TrainState) -> PRNGKey:
    return _key(recipe, Stream.DROPOUT, state.step)


def _key(recipe: Recipe, stream: Stream, step: Array) -> PRNGKey:
    return jax.random.fold_in(stream_key(recipe.seed, stream), step)
