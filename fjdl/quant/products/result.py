"""What comes behind a product: scale, bias, activation, and a grid for the next layer."""

from collections.abc import Callable

from jax.typing import DTypeLike

from fjdl.lowering.bias import add_bias
from fjdl.quant.forms import from_integers
from fjdl.quant.grid import Grid, rounded
from fjdl.quant.quantized import FLOATS, Quantized
from fjdl.typing import Array, Float, Num, typed

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
    return on_grid(in_numbers(y, bias, activation=activation, onto=onto, dtype=dtype), onto)


@typed
def in_numbers(
    y: Float[Array, "*shape"],
    bias: Float[Array, "n"] | None = None,
    *,
    activation: Activation | None = None,
    onto: Grid | None = None,
    dtype: DTypeLike,
) -> Num[Array, "..."]:
    """The same, as integers in bytes where there is a grid."""
    y = add_bias(y, bias)
    if activation is not None:
        y = activation(y)
    return y.astype(dtype) if onto is None else rounded(y, onto)


@typed
def on_grid(numbers: Num[Array, "..."], onto: Grid | None) -> Num[Array, "..."] | Quantized:
    """Integers as those of the grid, where there is one."""
    return numbers if onto is None else from_integers(numbers, onto)


@typed
def holds_integers(quantized: Quantized) -> bool:
    """Whether a product of integers is one of what they stand for: neither float8 nor levels such as those of NF4."""
    return quantized.values.dtype not in FLOATS and quantized.levels is None
