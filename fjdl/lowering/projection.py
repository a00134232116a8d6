"""Products of activations with small matrices that are rounded once at most, with their gradients.

`project` maps the last axis, `cross` sums the products of two arrays over all others; each is a derivative of the
other. Operands are float32 whose numbers are those of a `dtype` of 16 bits, or are rounded to it here; results are
sums in float32 that are not rounded. So the gradients of several products can be added before they are.
"""

from functools import partial

import jax.numpy as jnp
from jax import lax

from fjdl.lowering.bilinear import Rules, bilinear
from fjdl.lowering.conv_everywhere import LAYOUT
from fjdl.numerics import wide
from fjdl.typing import Array


def _contract(x: Array, matrix: Array, *, dtype: jnp.dtype, axis: int) -> Array:
    """Of images it is a convolution: the TPU's compiler makes its input inside of it, and that of a product before."""
    x, matrix = x.astype(dtype), matrix.astype(dtype)
    if x.ndim == 4:
        kernel = (matrix.T if axis else matrix)[None, None]
        options = {"dimension_numbers": LAYOUT, "preferred_element_type": wide(dtype)}
        return lax.conv_general_dilated(x, kernel, (1, 1), "VALID", **options)
    pairs = (((x.ndim - 1,), (axis,)), ((), ()))
    return lax.dot_general(x, matrix, pairs, preferred_element_type=wide(dtype))


def _cross(x: Array, y: Array, *, dtype: jnp.dtype) -> Array:
    batch = tuple(range(x.ndim - 1))
    pairs = ((batch, batch), ((), ()))
    return lax.dot_general(x.astype(dtype), y.astype(dtype), pairs, preferred_element_type=wide(dtype))


_forward, _backward = partial(_contract, axis=0), partial(_contract, axis=1)
# [..., k] and [k, c] to [..., c]
project = bilinear("fjdl_project", Rules(out=_forward, lhs=_backward, rhs=_cross))
# [..., k] and [..., c] to [k, c]
cross = bilinear("fjdl_cross", Rules(out=_cross, lhs=lambda g, y, **options: _backward(y, g, **options), rhs=_forward))
