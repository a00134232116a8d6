"""Gradient descent over a small data set: batch, mini-batch and stochastic, with a cost at which to stop."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from fjdl.losses.reduce import mean
from fjdl.meshes import scan, while_loop
from fjdl.typing import Array, PRNGKey, PyTree, Shaped, typed

Loss = Callable[[PyTree, Array, Array], Array]  # (params, x, y) to one value per example


class Descent(NamedTuple):
    """Where descent ended, and how it got there."""

    params: PyTree
    costs: Array  # [epochs], the mean loss over all data after each epoch; NaN for epochs that were not needed
    epochs: Array  # how many were run


@typed
def steps_per_epoch(examples: int, *, batch_size: int) -> int:
    """`⌈examples / batch_size⌉` updates, the last of them with the examples that are left."""
    return -(-examples // batch_size)


@typed
def descend(
    key: PRNGKey,
    loss: Loss,
    params: PyTree,
    x: Shaped[Array, "n ..."],
    y: Shaped[Array, "n ..."],
    *,
    optimizer: optax.GradientTransformation,
    epochs: int,
    batch_size: int | None = None,
    target_cost: float = -jnp.inf,
) -> Descent:
    """Follows the gradient of the mean loss until the cost of all data is below `target_cost`, at most `epochs` long.

    `batch_size=None` takes the whole data (batch gradient descent), 1 single examples (stochastic), anything between
    mini-batches; an epoch visits each example once, in an order drawn anew. Runs inside `jax.jit` as one loop. Raises
    `ValueError` where `epochs` or `batch_size` is not positive.
    """
    x, y = jnp.asarray(x), jnp.asarray(y)
    size = x.shape[0] if batch_size is None else batch_size
    if epochs < 1 or size < 1:
        raise ValueError(f"epochs and batch_size must be at least 1, got epochs={epochs} and batch_size={size}")

    def cost(params: PyTree, x: Array, y: Array, mask: Array) -> Array:
        return mean(loss(params, x, y), mask=mask)

    def step(carry: tuple[PyTree, PyTree], rows: Array) -> tuple[tuple[PyTree, PyTree], None]:
        params, state = carry
        batch = jnp.maximum(rows, 0)
        updates, state = optimizer.update(jax.grad(cost)(params, x[batch], y[batch], rows >= 0), state, params)
        return (optax.apply_updates(params, updates), state), None

    def epoch(carry: tuple[Array, PyTree, PyTree, Array]) -> tuple[Array, PyTree, PyTree, Array]:
        number, params, state, costs = carry
        order = _batches(jax.random.fold_in(key, number), x.shape[0], size)
        (params, state), _ = scan(step, (params, state), order)
        now = cost(params, x, y, jnp.ones(x.shape[0], bool))
        return number + 1, params, state, costs.at[number].set(now)

    def unfinished(carry: tuple[Array, PyTree, PyTree, Array]) -> Array:
        number, _, _, costs = carry
        return (number < epochs) & ((number == 0) | ~(costs[jnp.maximum(number - 1, 0)] < target_cost))

    start = (jnp.int32(0), params, optimizer.init(params), jnp.full(epochs, jnp.nan))
    number, params, _, costs = while_loop(unfinished, epoch, start)
    return Descent(params, costs, number)


def _batches(key: PRNGKey, examples: int, size: int) -> Array:
    """Shuffled row numbers `[steps, size]`; -1 fills the last batch."""
    order = jax.random.permutation(key, examples)
    missing = steps_per_epoch(examples, batch_size=size) * size - examples
    return jnp.pad(order, (0, missing), constant_values=-1).reshape(-1, size)
