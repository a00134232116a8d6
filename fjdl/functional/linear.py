"""Matrix products that accumulate in float32 whatever the operands' dtype."""

import math

import jax.numpy as jnp
from jax import lax

from fjdl.functional.bias import add_bias
from fjdl.functional.bilinear import Rules, bilinear
from fjdl.functional.cpu_matrix import product, product_of_columns
from fjdl.numerics import wide
from fjdl.typing import Array, Float, typed


@typed
def linear(
    x: Float[Array, "*batch d_in"], kernel: Float[Array, "d_in d_out"], bias: Float[Array, "d_out"] | None = None
) -> Float[Array, "*batch d_out"]:
    """The affine map `x @ kernel + bias`, in the dtype of `x`.

    The kernel is cast to the dtype of `x`; products are summed in float32, and so is the gradient of the bias.
    Equals `torch.nn.functional.linear(x, kernel.T, bias)`.
    """
    rows = jnp.asarray(x).reshape(math.prod(x.shape[:-1]), x.shape[-1])
    y = _matmul(rows, jnp.asarray(kernel).astype(x.dtype))
    return add_bias(y.reshape(*x.shape[:-1], kernel.shape[1]), bias)


def _contract(a: Array, b: Array, axis_a: int, axis_b: int) -> Array:
    dimensions = (((axis_a,), (axis_b,)), ((), ()))
    return lax.dot_general(a, b, dimensions, preferred_element_type=wide(a.dtype)).astype(a.dtype)


_PLAIN = Rules(
    out=lambda x, kernel: _contract(x, kernel, 1, 0),
    lhs=lambda y, kernel: _contract(y, kernel, 1, 1),
    rhs=lambda x, y: _contract(x, y, 0, 0),
)
_CPU = Rules(
    out=lambda x, kernel: product(x, kernel, (1, 0)).astype(x.dtype),
    lhs=lambda y, kernel: product(y, kernel, (1, 1)).astype(y.dtype),
    rhs=lambda x, y: product_of_columns(x, y).astype(x.dtype),
)
_matmul = bilinear("fjdl_matmul", _PLAIN, platforms={"cpu": {"0.10.2": _CPU, "0.12.0": _CPU}})
