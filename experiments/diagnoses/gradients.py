"""The gradient of a recipe's loss on some examples, as it is evaluated: without dropout."""

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fjdl import tree
from fjdl.batch import assembled
from fjdl.train.step import weighed
from fjdl.typing import Array, PyTree


def batch_of(source: Any, places: Iterable[int]) -> dict[str, Array]:
    """These examples of a source as one batch, in which each begins a sequence of its own."""
    numbers = list(places)
    examples = [source.element(place) for place in numbers]
    arrays = {name: jnp.asarray(np.stack([example[name] for example in examples])) for name in examples[0]}
    return assembled(arrays, jnp.asarray(numbers, jnp.int32), jnp.ones(len(numbers)))


def spread(source: Any, count: int) -> list[int]:
    """The numbers of as many examples, or all, evenly spaced over a source, which may be ordered by class."""
    return np.unique(np.linspace(0, source.length - 1, min(count, source.length)).astype(int)).tolist()


def loss_gradient(recipe: Any, params: PyTree, stats: PyTree, batch: Mapping[str, Array]) -> PyTree:
    """The gradient of the mean loss by the parameters, in float32, to be compiled."""
    network = recipe.network._replace(dtype=jnp.float32)
    count = len(next(iter(batch.values())))

    def loss(params: PyTree) -> Array:
        outputs = network(params, stats, batch, network.begin(count), train=False).outputs
        return jnp.mean(weighed(recipe.loss, outputs, batch).values)

    return jax.grad(loss)(params)


def by_layer(values: PyTree, layers: list[str]) -> dict[str, Array]:
    """All leaves below each layer in one vector."""
    leaves = dict(zip(tree.names(values), jax.tree.leaves(values), strict=True))
    found = {
        layer: [leaf.ravel() for name, leaf in leaves.items() if f"{name}/".startswith(f"{layer}/")] for layer in layers
    }
    return {layer: jnp.concatenate(parts) for layer, parts in found.items() if parts}
