"""What units do over many examples: which are dead, which saturate, and how their numbers are distributed."""

from typing import NamedTuple

import jax.numpy as jnp

from fjdl import tree
from fjdl.checks import at_least, within
from fjdl.numerics import wide, widened
from fjdl.typing import Array, Float, Integer, Number, PyTree, Scalar, typed


@typed
def zero_share(activations: Float[Array, "n *space c"]) -> Float[Array, " c"]:
    """For each unit, a channel, the share of examples and places at which it gives exactly 0: 1 for a dead one.

    For the results of ReLUs, see `nonlinearities`; NaN is not 0.

    >>> zero_share(jnp.array([[0.0, 1.0], [0.0, 0.0]]))
    Array([1. , 0.5], dtype=float32)
    """
    return jnp.mean(activations == 0, axis=tuple(range(activations.ndim - 1)), dtype=wide(activations.dtype))


@typed
def saturated_share(
    activations: Float[Array, "n *space c"], *, low: Number, high: Number, margin: Number = 0.05
) -> Float[Array, " c"]:
    """For each unit, the share of examples and places at which it is within `margin (high - low)` of one of its ends.

    The ends are -1 and 1 for tanh, 0 and 1 for sigmoids. There a unit's slope is small: at the default margin below 0.2
    of the steepest. Raises `ValueError` for a margin outside [0, 0.5).

    >>> saturated_share(jnp.array([[0.99, 0.5], [0.5, 0.5]]), low=0.0, high=1.0)
    Array([0.5, 0. ], dtype=float32)
    """
    within("[0, 0.5)", margin=margin)
    values, width = widened(activations), margin * (high - low)
    near = (values <= low + width) | (values >= high - width)
    return jnp.mean(near, axis=tuple(range(activations.ndim - 1)), dtype=wide(activations.dtype))


class Histogram(NamedTuple):
    """How many entries lie between two edges, the last one included."""

    counts: Integer[Array, " bins"]
    edges: Float[Array, " edges"]  # bins + 1
    rest: Integer[Array, ""]  # NaN and infinities, which are in no bin


@typed
def histogram(x: Float[Array, "..."], *, bins: int = 50) -> Histogram:
    """The distribution of all finite entries between the least and the greatest, in bins of one width.

    Equals `numpy.histogram`; entries of one value lie in the middle of a range of width 1.

    >>> histogram(jnp.array([0.0, 1.0, 2.0, 2.0, jnp.nan]), bins=2).counts
    Array([1, 3], dtype=int32)
    """
    at_least(1, bins=bins)
    values = widened(x).ravel()
    finite = jnp.isfinite(values)
    low, high = (
        jnp.min(values, where=finite, initial=jnp.inf),
        jnp.max(values, where=finite, initial=-jnp.inf),
    )
    low, high = (jnp.where(low <= high, end, 0) for end in (low, high))
    low, high = jnp.where(low == high, low - 0.5, low), jnp.where(low == high, high + 0.5, high)
    edges = jnp.linspace(low, high, bins + 1)
    places = jnp.clip(jnp.searchsorted(edges, values, side="right") - 1, 0, bins - 1)
    counts = jnp.zeros(bins, jnp.int32).at[jnp.where(finite, places, bins)].add(1, mode="drop")
    return Histogram(counts, edges, jnp.sum(~finite, dtype=jnp.int32))


@typed
def histograms(values: PyTree, *, bins: int = 50) -> dict[str, Histogram]:
    """The histogram of each leaf by its path, of parameters, of their gradients or of activations by layer."""
    return {name: histogram(leaf, bins=bins) for name, leaf in _leaves(values).items()}


@typed
def layer_norms(gradients: PyTree) -> dict[str, Scalar]:
    """The Euclidean norm of each leaf by its path: where gradients vanish from layer to layer.

    >>> layer_norms({"first": jnp.array([3.0, 4.0]), "last": jnp.zeros(2)})
    {'first': Array(5., dtype=float32), 'last': Array(0., dtype=float32)}
    """
    return {name: tree.global_norm(leaf) for name, leaf in _leaves(gradients).items()}


def _leaves(values: PyTree) -> dict[str, Array]:
    found: dict[str, Array] = {}
    tree.map_named(lambda name, leaf: found.setdefault(name, leaf), values)
    return found
