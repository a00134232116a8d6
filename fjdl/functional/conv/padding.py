"""Padding of images by their own pixels (circular, reflected, replicated), for convolutions."""

import jax.numpy as jnp
from jax import lax

from fjdl.geometry import AnyPadding, Sides, slide
from fjdl.numerics import widened
from fjdl.typing import Array, Shaped, typed

OWN_PIXELS = ("CIRCULAR", "REFLECT", "REPLICATE")


@typed
def continued(
    x: Shaped[Array, "..."], padding: AnyPadding, *, window: tuple[int, ...], dilation: int | tuple[int, ...]
) -> tuple[Shaped[Array, "..."], AnyPadding]:
    """The image with what "CIRCULAR", "REFLECT" or "REPLICATE" adds, and the padding of zeros that is left to do.

    They add half of what the window reaches on each side of every axis before the channels, the odd pixel at the end:
    the opposite edge, the mirror image without the edge itself, or the edge over and over. Floats are copied in
    float32, so that the transpose sums in float32. Any other padding is left as it is. Raises `ValueError` where the
    image is too small.
    """
    if padding not in OWN_PIXELS:
        return x, padding
    y = widened(x) if jnp.issubdtype(x.dtype, jnp.floating) else x
    axes = slide(x.shape[-len(window) - 1 : -1], window=window, padding=padding, dilation=dilation)
    for position, axis in enumerate(axes, start=x.ndim - len(window) - 1):
        y = _grown(y, position, axis.padding, name=padding)
    return y.astype(x.dtype), "VALID"


def _grown(x: Array, axis: int, sides: Sides, *, name: str) -> Array:
    (before, after), size = sides, x.shape[axis]

    def part(start: int, end: int) -> Array:
        return lax.slice_in_dim(x, start, end, axis=axis)

    if sides == (0, 0):
        return x
    if name == "CIRCULAR":
        ends = part(size - before, size), part(0, after)
    elif name == "REFLECT":
        ends = jnp.flip(part(1, before + 1), axis), jnp.flip(part(size - 1 - after, size - 1), axis)
    else:
        ends = jnp.repeat(part(0, 1), before, axis=axis), jnp.repeat(part(size - 1, size), after, axis=axis)
    return jnp.concatenate([ends[0], x, ends[1]], axis=axis)
