"""Images at another size, by fixed weights of their pixels along each axis."""

from collections.abc import Callable
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jax import lax

from fjdl.checks import within
from fjdl.numerics import widened
from fjdl.typing import Array, Float, typed

Method = Literal["nearest", "nearest-exact", "bilinear", "bicubic"]
Kernel = Callable[[np.ndarray], np.ndarray]


@typed
def resize2d(
    x: Float[Array, "*batch h w c"],
    *,
    size: tuple[int, int],
    method: Method = "bilinear",
    antialias: bool = False,
) -> Float[Array, "*batch h_out w_out c"]:
    """Images at `size` = (height, width): pixel i of s lies at (i + 1/2) n / s - 1/2 of an axis of n pixels.

    "bilinear" weights the two pixels around it; "bicubic" the four by Keys' cubic (1981) with slope -3/4, which
    overshoots; pixels beyond the border repeat its own. Where an axis shrinks, `antialias` widens the weights by n / s,
    so that every pixel counts; what it leaves beyond the border is left out, and its cubic has slope -1/2.
    "nearest-exact" copies the pixel that holds the new centre, ⌊(i + 1/2) n / s⌋, "nearest" the pixel ⌊i n / s⌋.
    In the dtype of `x`, computed in float32; an axis that keeps its size is not touched; one infinite entry, or NaN,
    makes NaN of its rows and columns unless copied.
    Equals `torch.nn.functional.interpolate(align_corners=False)`, whose copies round n / s to float32 first.
    Raises `ValueError` for a size that is not positive, an image without pixels, and `antialias` of copies.
    """
    within("(0, inf]", size=size)
    if 0 in x.shape[-3:-1]:
        raise ValueError(f"the image must have pixels, got shape {x.shape}")
    if method in ("nearest", "nearest-exact"):
        if antialias:
            raise ValueError(f"antialias needs bilinear or bicubic weights, got {method}")
        return _copied(jnp.asarray(x), size, half=method == "nearest-exact")
    y = widened(x)
    for axis, new in zip((-3, -2), size, strict=True):
        if new != x.shape[axis]:
            y = _mixed(y, axis, _weights(x.shape[axis], new, method == "bicubic", antialias))
    return y.astype(x.dtype)


def _copied(x: Array, size: tuple[int, int], *, half: bool) -> Array:
    for axis, new in zip((-3, -2), size, strict=True):
        old = x.shape[axis]
        if new % old == 0:
            x = _repeated(x, axis, new // old)
        else:
            i = np.arange(new)
            x = jnp.take(x, (2 * i + 1) * old // (2 * new) if half else i * old // new, axis=axis)
    return x


def _repeated(x: Array, axis: int, times: int) -> Array:
    """`jnp.repeat` without a gather, which is slow on CPU."""
    before, after = x.shape[: axis % x.ndim + 1], x.shape[axis % x.ndim + 1 :]
    spread = jnp.broadcast_to(jnp.expand_dims(x, len(before)), (*before, times, *after))
    return spread.reshape(*before[:-1], before[-1] * times, *after)


def _mixed(x: Array, axis: int, weights: np.ndarray) -> Array:
    mixed = jnp.tensordot(weights.astype(x.dtype), x, (1, axis), precision=lax.Precision.HIGHEST)
    return jnp.moveaxis(mixed, 0, axis)


def _weights(old: int, new: int, cubic: bool, antialias: bool) -> np.ndarray:
    """How much each old pixel counts in each new one; rows sum to 1."""
    zoom = old / new
    centres = (np.arange(new)[:, None] + 0.5) * zoom - 0.5
    if antialias:
        kernel = _cubic(-0.5) if cubic else _triangle
        weights = kernel((np.arange(old)[None] - centres) / max(zoom, 1))
        return weights / weights.sum(1, keepdims=True)
    margin = 2
    places = np.arange(-margin, old + margin)
    weights = (_cubic(-0.75) if cubic else _triangle)(places[None] - centres)
    return weights @ (np.clip(places, 0, old - 1)[:, None] == np.arange(old)[None])


def _triangle(distance: np.ndarray) -> np.ndarray:
    return np.maximum(1 - np.abs(distance), 0)


def _cubic(slope: float) -> Kernel:
    """Keys' cubic convolution: 1 at 0, 0 with its first derivative `slope` at 1, and 0 from 2 on."""

    def kernel(distance: np.ndarray) -> np.ndarray:
        r = np.abs(distance)
        inner = ((slope + 2) * r - (slope + 3)) * r**2 + 1
        outer = slope * (((r - 5) * r + 8) * r - 4)
        return np.where(r < 1, inner, np.where(r < 2, outer, 0))

    return kernel
