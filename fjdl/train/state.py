"""The whole training state as one tree, and keys that are functions of the seed and the step."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fjdl import tree
from fjdl.optim import ema_init
from fjdl.train.learned import learned
from fjdl.train.precision import products
from fjdl.train.recipe import Recipe
from fjdl.typing import Array, Int, PRNGKey, PyTree


class Best(NamedTuple):
    """The best epoch so far, for early stopping."""

    value: Array  # shape (), float32: the monitored validation result
    step: Array  # shape (), int32: training steps done when it was reached, -1 before any
    wait: Array  # shape (), int32: evaluations since


class TrainState(NamedTuple):
    """All that a resumed run needs; the step alone decides data order and randomness."""

    step: Array  # shape (), int32: batches seen
    params: PyTree
    stats: PyTree
    opt: PyTree
    ema: PyTree  # float32 average of params, or () without one
    skipped: Array  # shape (), int32: steps refused because loss or gradient was not finite
    streak: Array  # shape (), int32: refused steps in a row, up to now
    best: Best
    carry: PyTree = ()  # what the model carries from batch to batch, () for one that carries nothing
    scale: PyTree = ()  # of the loss, see `optim.dynamic_loss_scale`, () without one


class Stream(IntEnum):
    """What a key is for; the number is part of every result, so it never changes."""

    INIT = 0
    ORDER = 1
    DROPOUT = 2
    AUGMENT = 3


def stream_key(seed: int, stream: Stream) -> PRNGKey:
    """The key of one stream of random numbers; fold the step in before use."""
    return jax.random.fold_in(jax.random.key(seed), stream)


def init_state(recipe: Recipe, inputs: Any, trained: Mapping[str, Array] | None = None, *, steps: int) -> TrainState:
    """The state before the first step; the same for any number of devices.

    `trained` has the parameters and statistics that are not drawn, by paths such as `params/conv1/kernel`.
    """
    with products(recipe.precision):
        drawn = recipe.model.init(stream_key(recipe.seed, Stream.INIT), inputs)
    params, stats = drawn if trained is None else _with(trained, *drawn)
    worst = -jnp.inf if recipe.mode == "max" else jnp.inf
    return TrainState(
        step=_count(0),
        params=params,
        stats=stats,
        opt=recipe.transformation(steps).init(learned(params, recipe.frozen)),
        ema=() if recipe.ema is None else ema_init(params),
        skipped=_count(0),
        streak=_count(0),
        best=Best(value=jnp.asarray(worst, jnp.float32), step=_count(-1), wait=_count(0)),
        carry=recipe.network.begin(recipe.batch_size),
        scale=recipe.scaling.init(),
    )


def _with(trained: Mapping[str, Array], params: PyTree, stats: PyTree) -> tuple[PyTree, PyTree]:
    """What was drawn, with the trained arrays in the places of their paths."""
    whole = tree.map_named(
        lambda path, leaf: jnp.asarray(trained.get(path, leaf), leaf.dtype), {"params": params, "stats": stats}
    )
    return whole["params"], whole["stats"]


def remember(state: TrainState, value: Array, *, mode: str) -> TrainState:
    """The state after an evaluation; NaN is never the best, and a tie keeps the earlier epoch.

    Raises `ValueError` where `value` is not a scalar.
    """
    if jnp.ndim(value):
        raise ValueError(f"monitor must name a result that is a scalar, got shape {value.shape}")
    value = jnp.asarray(value, jnp.float32)
    better = value > state.best.value if mode == "max" else value < state.best.value
    first = (state.best.step < 0) & ~jnp.isnan(value)
    new = Best(value=value, step=state.step, wait=_count(0))
    old = state.best._replace(wait=state.best.wait + 1)
    return state._replace(best=jax.tree.map(lambda a, b: jnp.where(better | first, a, b), new, old))


def evaluated_params(state: TrainState) -> PyTree:
    """What evaluation uses: the average where there is one."""
    return state.ema if jax.tree.leaves(state.ema) else state.params


def _count(value: int) -> Int[Array, ""]:
    return jnp.asarray(value, jnp.int32)
