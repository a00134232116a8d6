"""The object of an image from a saliency map alone, without any mask to learn from."""

import jax
import jax.numpy as jnp

from fjdl.checks import within
from fjdl.meshes import while_loop
from fjdl.numerics import widened
from fjdl.typing import Array, Bool, Float, Number, typed


@typed
def salient_region(maps: Float[Array, "n h w"], *, quantile: Number = 0.8) -> Bool[Array, "n h w"]:
    """The largest connected part of the pixels above a quantile of each map; none of a map of one value.

    A simple form of weakly supervised segmentation: Simonyan, Vedaldi & Zisserman 2013 let GraphCut grow such pixels by
    colours, which is not done here. A map smoothed by `smooth_gradient` or of Grad-CAM gives whole regions. Raises
    `ValueError` for a quantile outside [0, 1).
    """
    within("[0, 1)", quantile=quantile)
    values = widened(maps)
    limit = jnp.quantile(values.reshape(values.shape[0], -1), quantile, axis=1)
    return largest_part(values > limit[:, None, None])


@typed
def largest_part(masks: Bool[Array, "n h w"]) -> Bool[Array, "n h w"]:
    """The pixels of each mask's largest part, connected along rows and columns; of equal ones the first in order.

    >>> largest_part(jnp.array([[[True, False, True], [False, False, True]]])).astype(int)
    Array([[[0, 0, 1],
            [0, 0, 1]]], dtype=int32)
    """
    n, h, w = masks.shape
    none = h * w
    numbers = jnp.broadcast_to(jax.lax.iota(jnp.int32, none).reshape(1, h, w), masks.shape)

    def spread(state: tuple[Array, Array]) -> tuple[Array, Array]:
        labels = state[0]
        padded = jnp.pad(labels, ((0, 0), (1, 1), (1, 1)), constant_values=none)
        around = [padded[:, 1:-1, :-2], padded[:, 1:-1, 2:], padded[:, :-2, 1:-1], padded[:, 2:, 1:-1]]
        least = jnp.minimum(labels, jnp.minimum(jnp.minimum(*around[:2]), jnp.minimum(*around[2:])))
        least = jnp.where(masks, jnp.take_along_axis(_flat(least), _flat(least) % none, axis=1).reshape(n, h, w), none)
        return least, jnp.any(least != labels)

    start = jnp.where(masks, numbers, none)
    labels, _ = while_loop(lambda state: state[1], spread, (start, jnp.any(masks)))
    sizes = jax.vmap(lambda each: jnp.zeros(none + 1, jnp.int32).at[each].add(1))(_flat(labels))[:, :none]
    return masks & (labels == jnp.argmax(sizes, axis=1)[:, None, None])


@typed
def region_box(masks: Bool[Array, "n h w"]) -> Float[Array, "n 4"]:
    """The smallest box around each mask, corners `[x0, y0, x1, y1]` in pixels; all 0 around an empty one.

    >>> region_box(jnp.array([[[False, True, True], [False, False, True]]]))
    Array([[1., 0., 3., 2.]], dtype=float32)
    """
    ends = []
    for axis in (1, 2):  # what is left after rows are merged are columns, x
        held = jnp.any(masks, axis=axis)
        first, last = jnp.argmax(held, axis=1), held.shape[1] - jnp.argmax(held[:, ::-1], axis=1)
        ends.append((first, jnp.where(jnp.any(held, axis=1), last, 0)))
    (x0, x1), (y0, y1) = ends
    return jnp.stack([x0, y0, x1, y1], axis=1).astype(jnp.float32)


def _flat(x: Array) -> Array:
    return x.reshape(x.shape[0], -1)
