"""Matrix products that accumulate in float32 whatever the operands' dtype."""

import math

import jax.numpy as jnp

from fjdl.lowering.bias import add_bias
from fjdl.lowering.matmul import matmul
from fjdl.typing import Array, Float, typed


@typed
def linear(
    x: Float[Array, "*batch d_in"], kernel: Float[Array, "d_in d_out"], bias: Float[Array, "d_out"] | None = None
) -> Float[Array, "*batch d_out"]:
    """The affine map `x @ kernel + bias`, in the dtype of `x`.

    The kernel is cast to the dtype of `x`; products are summed in float32, and so is the gradient of the bias.
    Equals `torch.nn.functional.linear(x, kernel.T, bias)`.

    >>> linear(jnp.array([[1.0, 2.0]]), jnp.array([[1.0], [10.0]]), jnp.array([0.5]))
    Array([[21.5]], dtype=float32)
    """
    rows = jnp.asarray(x).reshape(math.prod(x.shape[:-1]), x.shape[-1])
    y = matmul(rows, jnp.asarray(kernel).astype(x.dtype))
    return add_bias(y.reshape(*x.shape[:-1], kernel.shape[1]), bias)
