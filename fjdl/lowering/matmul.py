"""Matrix products that are summed in float32, and their gradients, as the platform runs them fast."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax

from fjdl.geometry import certain
from fjdl.lowering.bilinear import Rules, bilinear
from fjdl.lowering.cpu.matrix import product, product_of_columns
from fjdl.numerics import wide
from fjdl.typing import Array

SMALL = 2**20  # entries of a product that a TPU leaves in float32


def _contract(a: Array, b: Array, axis_a: int, axis_b: int) -> Array:
    dimensions = (((axis_a,), (axis_b,)), ((), ()))
    return lax.dot_general(a, b, dimensions, preferred_element_type=wide(a.dtype)).astype(a.dtype)


def _contract_on_tpu(a: Array, b: Array, axis_a: int, axis_b: int) -> Array:
    """Products of bfloat16 are summed in float32 there too, and large ones are written in bfloat16 at once.

    Small ones stay on the chip, and gradients in float32 join those of the biases in one exchange between devices.
    """
    entries = a.shape[1 - axis_a] * b.shape[1 - axis_b]
    if a.dtype != jnp.bfloat16 or certain(lambda: entries <= SMALL):
        return _contract(a, b, axis_a, axis_b)
    return lax.dot_general(a, b, (((axis_a,), (axis_b,)), ((), ())))


def _rules(contract: Callable[[Array, Array, int, int], Array]) -> Rules:
    return Rules(
        out=lambda x, kernel: contract(x, kernel, 1, 0),
        lhs=lambda y, kernel: contract(y, kernel, 1, 1),
        rhs=lambda x, y: contract(x, y, 0, 0),
    )


_CPU = Rules(
    out=lambda x, kernel: product(x, kernel, (1, 0)).astype(x.dtype),
    lhs=lambda y, kernel: product(y, kernel, (1, 1)).astype(y.dtype),
    rhs=lambda x, y: product_of_columns(x, y).astype(x.dtype),
)
_TPU = _rules(_contract_on_tpu)
_PLATFORMS = {"cpu": {"0.10.2": _CPU, "0.12.0": _CPU}, "tpu": {"0.10.2": _TPU}}
matmul = bilinear("fjdl_matmul", _rules(_contract), platforms=_PLATFORMS)
