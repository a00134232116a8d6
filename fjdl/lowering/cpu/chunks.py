"""A few images at a time, so that what an operation makes of them stays in the processor's cache.

Chunks are cut inside of the loop and a chunk of one image has no axis for it.  A loop over images in a new shape
copies all of them first, in jaxlib 0.10.2 and 0.12.0, and axes of length 1 make XLA:CPU's code slower.  So functions of
a chunk count its axes from the last: [..., h, w, c].
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import lax

from fjdl.lowering.taps import together
from fjdl.meshes import scan
from fjdl.typing import Array, PyTree


def summed(function: Callable[..., Array], zero: Array, images: Sequence[Array], *, most: int) -> Array:
    """`zero` and the sum of `function` over chunks of at most `most` images of each array, but of one at least."""

    def add(total: Array, chunk: Sequence[Array]) -> tuple[Array, None]:
        return total + function(*chunk), None

    count = together(images[0].shape[0], most)
    if count == 1:
        return scan(add, zero, tuple(images))[0]
    return scan(lambda total, i: add(total, _chunk(images, i, count)), zero, _indices(images[0], count))[0]


def mapped(function: Callable[[Array], Array], images: Array, *, most: int) -> Array:
    """`function` of chunks of at most `most` images, but of one at least: [n, ...]."""
    count = together(images.shape[0], most)
    if count == 1:
        return lax.map(function, images)
    parts = lax.map(lambda i: function(*_chunk([images], i, count)), _indices(images, count))
    return parts.reshape(images.shape[0], *parts.shape[2:])


def mapped_together(function: Callable[..., PyTree], arguments: Sequence[PyTree], *, most: int) -> PyTree:
    """`function` of parts of at most `most` images of each array in the arguments, one at least: [n, ...] each result.

    A part keeps its axis of images. Where all fit into one, and of a number that is left open, there is no loop.
    """
    n = jax.tree.leaves(arguments)[0].shape[0]
    count = together(n, most)
    if not isinstance(n, int) or count == n:
        return function(*arguments)
    indices = jnp.arange(n // count)
    parts = lax.map(lambda i: function(*jax.tree.map(lambda x: _chunk([x], i, count)[0], list(arguments))), indices)
    return jax.tree.map(lambda part: part.reshape(n, *part.shape[2:]), parts)


def padded(x: Array, above: tuple[int, int], beside: tuple[int, int]) -> Array:
    """[..., h, w, c] with zeros above and below, left and right."""
    return jnp.pad(x, ((0, 0),) * (x.ndim - 3) + (above, beside, (0, 0)))


def _indices(images: Array, count: int) -> Array:
    return jnp.arange(images.shape[0] // count)


def _chunk(images: Sequence[Array], index: Array, count: int) -> list[Array]:
    return [lax.dynamic_slice_in_dim(x, index * count, count) for x in images]
