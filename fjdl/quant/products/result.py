"""What comes behind a product: scale, bias, activation, and a grid for the next layer."""

from collections.abc import Callable

import jax.numpy as jnp
from jax.typing import DTypeLike

from fjdl.quant.forms import quantize
from fjdl.quant.grid import Grid
from fjdl.quant.quantized import FLOATS, Quantized
from fjdl.typing import Array, Float, typed

Activation = Callable[[Array], Array]


@typed
def finished(
    y: Float[Array, "*shape"],
    bias: Float[Array, "n"] | None = None,
    *,
    activation: Activation | None = None,
    onto: Grid | None = None,
    dtype: DTypeLike,
) -> Float[Array, "..."] | Quantized:
    """`activation(y + bias)` in the dtype of `y`, float32 or wider, then on the grid `onto`, or else in `dtype`."""
    if bias is not None:
        y = y + jnp.asarray(bias).astype(y.dtype).reshape((1,) * (y.ndim - 1) + (-1,))
    if activation is not None:
        y = activation(y)
    return y.astype(dtype) if onto is None else quantize(y, onto)


@typed
def holds_integers(quantized: Quantized) -> bool:
    """Whether a product of integers is one of what they stand for: neither float8 nor levels such as those of NF4."""
    return quantized.values.dtype not in FLOATS and quantized.levels is None
