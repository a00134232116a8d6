"""Quantization that can be learned through: rounded values going forward, the gradient as if there were no rounding."""

from typing import Any

import jax
import jax.numpy as jnp

from fjdl.checks import within
from fjdl.fused import fused
from fjdl.quant.forms import on_axes
from fjdl.quant.grid import SMALLEST, Grid, scale_and_zero
from fjdl.typing import Array, Float, typed


@typed
def straight_through_round(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """`round(x)`, halves to even, whose derivative is 1. Bengio et al. 2013, arXiv:1308.3432.

    >>> jax.value_and_grad(straight_through_round)(jnp.float32(1.7))
    (Array(2., dtype=float32), Array(1., dtype=float32))
    """
    return _round(x)


@jax.custom_jvp
def _round(x: Array) -> Array:
    return jnp.round(x)


@_round.defjvp
def _round_jvp(primals: tuple[Array], tangents: tuple[Any]) -> tuple[Array, Any]:
    return _round(*primals), *tangents


@typed
@fused
def fake_quantize(x: Float[Array, "*shape"], grid: Grid) -> Float[Array, "*shape"]:
    """`dequantize(quantize(x, grid))` bit for bit, in the dtype of `x`, with a gradient that training can use.

    The gradient by `x` is that of `x` itself where the nearest integer lies on the grid, and 0 beyond its ends. By
    `scale` each entry adds integer − zero_point − x / scale on the grid, and integer − zero_point beyond it; by
    `zero_point` 0 and −scale. Computed in float32. NaN stays NaN, where `quantize` refuses it. A scale of the grid
    without axes holds for all entries. Jacob et al. 2018, arXiv:1712.05877, section 3; equal to
    `torch.fake_quantize_per_tensor_affine`.

    >>> from fjdl.quant import symmetric_grid
    >>> jax.grad(lambda x: fake_quantize(x, symmetric_grid(1.0, bits=2)).sum())(jnp.array([-3.0, 0.4, 1.2]))
    Array([0., 1., 1.], dtype=float32)
    """
    scale, zero = scale_and_zero(on_axes(grid, x.shape), x.shape)
    wide = x.astype(jnp.float32)
    nearest = jnp.round(jax.lax.stop_gradient(wide / scale + zero))
    limited = jnp.clip(nearest, *grid.limits)
    beyond = nearest != limited
    # Beyond the ends nothing is divided, so that no infinity enters the gradient.
    inside = straight_through_round(jnp.where(beyond, 0.0, wide) / jnp.where(beyond, 1.0, scale) + zero)
    return ((jnp.where(beyond, limited, inside) - zero) * scale).astype(x.dtype)


@typed
def learned_step(x: Float[Array, "..."], *, bits: int = 8) -> Float[Array, ""]:
    """The step size from which `lsq_quantize` starts to learn: 2 · mean|x| / √(2^(bits−1) − 1), for the first `x`.

    Raises `ValueError` for bits outside [2, 8]. Esser et al. 2020, arXiv:1902.08153, section 2.1.
    """
    within("[2, 8]", bits=bits)
    mean = jnp.mean(jnp.abs(x.astype(jnp.float32)))
    return jnp.maximum(2 * mean / jnp.sqrt(jnp.float32(_top(bits))), SMALLEST)


@typed
@fused
def lsq_quantize(x: Float[Array, "*shape"], step: Float[Array, ""], *, bits: int = 8) -> Float[Array, "*shape"]:
    """`fake_quantize` on the symmetric grid of this `step`, which is learned with the network: LSQ.

    The gradient of `step` is divided by √(size of x · (2^(bits−1) − 1)), so that steps of layers of all sizes learn as
    fast as their weights. A step that has fallen below the smallest normal float32 counts as that. `learned_step` is
    where it starts. Raises `ValueError` for bits outside [2, 8]. Esser et al. 2020, arXiv:1902.08153.

    >>> lsq_quantize(jnp.array([0.3, 0.9]), jnp.float32(0.5), bits=4)
    Array([0.5, 1. ], dtype=float32)
    """
    within("[2, 8]", bits=bits)
    share = 1 / jnp.sqrt(jnp.float32(max(x.size, 1) * _top(bits)))
    step = jnp.asarray(step).astype(jnp.float32)
    still = jax.lax.stop_gradient(step)
    slow = still + (step - still) * share
    return fake_quantize(x, Grid(jnp.maximum(slow, SMALLEST), bits=bits))


def _top(bits: int) -> int:
    return 2 ** (bits - 1) - 1
