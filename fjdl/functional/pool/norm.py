"""Pooling by norms of windows, between sums and maxima."""

from functools import reduce

import jax
import jax.numpy as jnp

from fjdl.checks import within
from fjdl.functional.pool.windows import windows_of
from fjdl.functional.windows import padded, taps
from fjdl.geometry import Padding, Pair
from fjdl.numerics import widened
from fjdl.typing import Array, Float, Number, typed


@typed
def lp_pool2d(
    x: Float[Array, "*batch h w c"],
    *,
    p: Number,
    window: Pair,
    stride: Pair | None = None,
    padding: Padding = "VALID",
    ceil_mode: bool = False,
) -> Float[Array, "*batch h_out w_out c"]:
    """p-norm of each window, `(Σ |x|^p)^(1/p)`: sums of magnitudes at p = 1, near the largest of them as p grows.

    Computed in float32 and scaled by the largest magnitude, so that powers neither overflow nor vanish; a window of
    zeros, or with an infinite entry, has zero gradient. Padding adds nothing. Sermanet, Chintala & LeCun 2012,
    arXiv:1204.3968. Equals `torch.nn.functional.lp_pool2d` on numbers that are not negative, and for even p; there an
    odd p keeps the signs, and `ceil_mode` scales up the windows that it cuts.
    Raises `ValueError` for a p below 1 or infinite, and as `average_pool2d`.
    """
    within("[1, inf)", p=p)
    axes = windows_of(x.shape, spatial=2, window=window, stride=stride, padding=padding, ceil_mode=ceil_mode)
    y = widened(x)
    for axis in reversed(axes):
        y = _p_norm([jnp.abs(tap) for tap in taps(padded(y, (axis,), fill=0.0), axis)], p)
    return y.astype(x.dtype)


def _p_norm(entries: list[Array], p: Number) -> Array:
    scale = jax.lax.stop_gradient(reduce(jnp.maximum, entries))
    settled = (scale == 0) | jnp.isinf(scale)
    divisor = jnp.where(settled, 1, scale)
    total = reduce(jnp.add, [(jnp.where(settled, 0, entry) / divisor) ** p for entry in entries])
    return jnp.where(settled, scale, scale * jnp.where(settled, 1, total) ** (1 / p))
