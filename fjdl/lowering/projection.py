"""Products of activations with small float32 matrices, which leave their gradients in float32, never rounded.

`project` maps the last axis, `cross` sums the products of two arrays over all others; each is a derivative of the
other. So a gradient that is to be summed further, as over devices, keeps all of its digits.
"""

from jax import lax

from fjdl.lowering.bilinear import Rules, bilinear
from fjdl.lowering.conv_everywhere import LAYOUT
from fjdl.numerics import wide
from fjdl.typing import Array


def _project(x: Array, matrix: Array) -> Array:
    return _contract(x, matrix, 0)


def _project_back(y: Array, matrix: Array) -> Array:
    return _contract(y, matrix, 1)


def _contract(x: Array, matrix: Array, axis: int) -> Array:
    """Of images it is a convolution: the TPU's compiler makes its input inside of it, and that of a product before."""
    matrix = matrix.astype(x.dtype)
    if x.ndim == 4:
        kernel = (matrix.T if axis else matrix)[None, None]
        return lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=LAYOUT)
    pairs = (((x.ndim - 1,), (axis,)), ((), ()))
    return lax.dot_general(x, matrix, pairs, preferred_element_type=wide(x.dtype)).astype(x.dtype)


def _cross(x: Array, y: Array) -> Array:
    batch = tuple(range(x.ndim - 1))
    return lax.dot_general(x, y, ((batch, batch), ((), ())), preferred_element_type=wide(x.dtype))


# [..., k] and [k, c] to [..., c]
project = bilinear("fjdl_project", Rules(out=_project, lhs=_project_back, rhs=_cross))
# [..., k] and [..., c] to [k, c]
cross = bilinear("fjdl_cross", Rules(out=_cross, lhs=lambda g, y: _project_back(y, g), rhs=_project))
