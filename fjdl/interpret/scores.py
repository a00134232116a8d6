"""What a network is here, and how it is asked: one score of each example, many inputs in pieces of bounded memory."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.checks import at_least, known
from fjdl.losses.labels import at_label, nan_unless, one_hot
from fjdl.numerics import unit, widened
from fjdl.typing import Array, PyTree

Network = Callable[[Array], Array]  # inputs [n, ...] to the scores of k classes [n, k]
Score = Callable[[Array], Array]  # inputs [n, ...] to one number for each [n]


def scores_of(network: Network, x: Array, classes: Array) -> Array:
    """The score of each example's class [n] in float32; NaN, with a gradient of NaN, for a class out of range.

    Raises `ValueError` for a class out of range that is known, and for a network that does not give [n, k].
    """
    scores = network(x)
    if scores.ndim != 2 or scores.shape[0] != x.shape[0]:
        raise ValueError(f"network must give scores [n, k] of {x.shape[0]} examples, got shape {scores.shape}")
    given = known(classes)
    k = scores.shape[1]
    if given is not None and not np.all((np.asarray(given) >= 0) & (np.asarray(given) < k)):
        raise ValueError(f"classes must lie in [0, {k}), got {np.asarray(given).tolist()}")
    in_range, hits = one_hot(classes, k)
    return nan_unless(in_range, at_label(widened(scores), in_range, hits))


def in_pieces(function: Callable[..., PyTree], *arrays: Array, size: int) -> PyTree:
    """`function(*arrays)` of functions that work row by row, `size` rows at a time, one piece after the other.

    The last piece is filled up with copies of the last row, which are cut off.
    """
    at_least(1, size=size)
    rows = arrays[0].shape[0]
    size = max(1, min(size, rows))
    pieces = -(-rows // size)

    def piled(x: Array) -> Array:
        more = jnp.broadcast_to(x[-1:], (pieces * size - rows, *x.shape[1:]))
        return jnp.concatenate([x, more]).reshape(pieces, size, *x.shape[1:])

    def whole(x: Array) -> Array:
        return x.reshape(pieces * size, *x.shape[2:])[:rows]

    return jax.tree.map(whole, jax.lax.map(lambda piece: function(*piece), tuple(map(piled, arrays))))


def per_example(values: Any, like: Array) -> Array:
    """A number for each example, with axes of length 1 behind it, as many as `like` has."""
    return jnp.reshape(values, (-1, *[1] * (like.ndim - 1)))


def direction(slope: Array) -> Array:
    """Each example's gradient at length 1, in float32; 0 where it is 0."""
    flat = widened(slope).reshape(slope.shape[0], -1)
    return unit(flat, axis=1).reshape(slope.shape)
