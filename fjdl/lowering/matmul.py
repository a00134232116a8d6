"""Matrix products that are summed in float32, and their gradients, as the platform runs them fast."""

from jax import lax

from fjdl.lowering.bilinear import Rules, bilinear
from fjdl.lowering.cpu.matrix import product, product_of_columns
from fjdl.numerics import wide
from fjdl.typing import Array


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
matmul = bilinear("fjdl_matmul", _PLAIN, platforms={"cpu": {"0.10.2": _CPU, "0.12.0": _CPU}})
