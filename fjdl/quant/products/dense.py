"""Matrix products of quantized arrays."""

import math

import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from fjdl.fused import fused
from fjdl.lowering.int8.dot import dot
from fjdl.numerics import wide
from fjdl.quant.forms import decoded, dequantize, integers
from fjdl.quant.grid import Grid, spread
from fjdl.quant.products.result import Activation, finished, holds_integers
from fjdl.quant.quantized import Quantized
from fjdl.typing import Array, Float, Int, typed


@typed
@fused
def linear(
    x: Float[Array, "*batch d_in"] | Quantized,
    kernel: Quantized,
    bias: Float[Array, "d_out"] | None = None,
    *,
    sums: Int[Array, "groups d_out"] | None = None,
    activation: Activation | None = None,
    onto: Grid | None = None,
    dtype: DTypeLike | None = None,
) -> Float[Array, "*batch d_out"] | Quantized:
    """`activation(x @ kernel + bias)` for a quantized kernel [d_in, d_out], as floats or on the grid `onto`.

    Of integers in `x`, the product is of int8 in int32, exactly; scales, zero points and bias follow in float32, in the
    same pass as `activation` and the rounding onto the grid. `x` has one scale for all or one for each vector, such as
    `quantize_rows` gives; the kernel one for all, for each column, or for each group of rows, in which case the product
    is one of each group. Of floats in `x`, and of kernels in NF4 or float8, the integers are converted to the dtype of
    `x` inside of the program, and sums are in float32. The result is `dtype`: that of `x`, and float32 of integers.
    `sums` are the `kernel_sums`, for those who have them ready: zero points of `x` need them.

    Raises `ValueError` for a kernel that is no matrix, for rows that are not as many as `x` has entries, and for scales
    of `x` that differ along its last axis in other groups than those of the kernel. Jacob et al. 2018,
    arXiv:1712.05877, 2.2. Has no gradient; `x` of floats has one by itself.

    >>> from fjdl.quant import absmax_quantize
    >>> linear(jnp.array([[1.0, 1.0]]), absmax_quantize(jnp.array([[127.0], [-2.0]])))
    Array([[125.]], dtype=float32)
    """
    if kernel.ndim != 2 or kernel.shape[0] != x.shape[-1]:
        raise ValueError(f"kernel must be a matrix of {x.shape[-1]} rows, got shape {list(kernel.shape)}")
    *batch, rows = x.shape
    if isinstance(x, Quantized):
        y, natural = product_of(_flat(x), kernel, sums=sums), jnp.dtype(jnp.float32)
    else:
        y, natural = product_of_floats(jnp.asarray(x).reshape(math.prod(batch), rows), kernel), x.dtype
    y = y.reshape(*batch, kernel.shape[1])
    return finished(y, bias, activation=activation, onto=onto, dtype=natural if dtype is None else dtype)


@typed
@fused
def matmul(
    a: Quantized, b: Quantized, *, onto: Grid | None = None, dtype: DTypeLike = jnp.float32
) -> Float[Array, "..."] | Quantized:
    """The products of two stacks of quantized matrices, [*batch, m, k] and [*batch, k, n], as those of attention.

    `a` has one scale for all, for each matrix or for each row, and `b` for each column; both may have one for each
    group along the axis that is summed. All else is as in `linear`. Raises `ValueError` where the shapes do not fit.

    >>> from fjdl.quant import absmax_quantize
    >>> a, b = jnp.array([[[1.0, 2.0]]]), jnp.array([[[3.0], [-1.0]]])
    >>> matmul(absmax_quantize(a, axis=(0, 1)), absmax_quantize(b, axis=(0, 2))).round(1)
    Array([[[1.]]], dtype=float32)
    """
    if a.ndim < 2 or a.shape[:-2] != b.shape[:-2] or a.shape[-1] != b.shape[-2]:
        raise ValueError(f"the matrices of a and b must fit, got shapes {list(a.shape)} and {list(b.shape)}")
    return finished(product_of(a, b), onto=onto, dtype=dtype)


@typed
@fused
def kernel_sums(kernel: Quantized) -> Int[Array, "..."]:
    """The sums of a kernel's integers over inputs: `[kh, kw, c_out]` of a convolution, `[groups, d_out]` of a matrix.

    A zero point of the other factor is taken off by them. They are fixed once the kernel is: a model of integers has
    them ready, so that no call reads its kernels twice.

    >>> from fjdl.quant import absmax_quantize
    >>> kernel_sums(absmax_quantize(jnp.array([[127.0, 2.0], [1.0, 3.0]])))
    Array([[128,   5]], dtype=int32)
    """
    whole = integers(kernel)
    if kernel.ndim != 2:
        return jnp.sum(whole, axis=-2, dtype=jnp.int32)
    groups = kernel.scale.shape[0]
    return jnp.sum(whole.reshape(groups, -1, kernel.shape[1]), axis=1, dtype=jnp.int32)


@typed
def product_of(a: Quantized, b: Quantized, *, sums: Array | None = None) -> Float[Array, "*batch m n"]:
    """[*batch, m, k] by [*batch, k, n] in float32: of integers in int32, of other values as floats.

    `sums` are those of the columns of `b` in each group.
    """
    if not (holds_integers(a) and holds_integers(b)):
        return product_of_floats(dequantize(a), b)
    groups = _groups(a.scale.shape[-1], b.scale.shape[-2])
    x, w = _split(integers(a), -1, groups), _split(integers(b), -2, groups)
    total = dot(x, w)
    if a.zero_point is not None:
        zero = _split_scale(_rows(a, a.zero_point), -1, groups)
        if sums is None or sums.shape[0] != groups:
            columns = jnp.sum(w, axis=-2, keepdims=True, dtype=jnp.int32)
        else:
            columns = sums if groups == 1 else sums[:, None, :]
        total = total - zero.astype(jnp.int32) * columns
    real = total.astype(jnp.float32)
    if b.zero_point is not None:
        sums = jnp.sum(x, axis=-1, keepdims=True, dtype=jnp.int32).astype(jnp.float32)
        if a.zero_point is not None:
            sums = sums - x.shape[-1] * _split_scale(_rows(a, a.zero_point), -1, groups)
        real = real - sums * _split_scale(_columns(b, b.zero_point), -2, groups)
    scales = _split_scale(_rows(a, a.scale), -1, groups) * _split_scale(_columns(b, b.scale), -2, groups)
    return _joined(real * scales, groups)


@typed
def product_of_floats(x: Float[Array, "*batch m k"], w: Quantized) -> Float[Array, "*batch m n"]:
    """Of floats by what integers stand for, the scale after the sums, which are in float32 or wider."""
    groups = w.scale.shape[-2]
    x, values = _split(x, -1, groups), _split(decoded(w, dtype=x.dtype), -2, groups)
    leading = tuple(range(x.ndim - 2))
    pairs = (((x.ndim - 1,), (x.ndim - 2,)), (leading, leading))
    total = lax.dot_general(x, values, pairs, preferred_element_type=wide(x.dtype))
    if w.zero_point is not None:
        sums = jnp.sum(x, axis=-1, keepdims=True, dtype=total.dtype)
        total = total - sums * _split_scale(_columns(w, w.zero_point), -2, groups).astype(total.dtype)
    return _joined(total * _split_scale(_columns(w, w.scale), -2, groups).astype(total.dtype), groups)


def _flat(x: Quantized) -> Quantized:
    """Vectors along the last axis as the rows of one matrix, in whole bytes."""
    whole, length = integers(x) if holds_integers(x) else x.values, x.shape[-1]
    rows = math.prod(x.shape[:-1])

    def flat(part: Array) -> Array:
        if all(n == 1 for n in part.shape[:-1]):
            return part.reshape(1, part.shape[-1])
        return _rows(x, part).reshape(rows, part.shape[-1])

    zero = None if x.zero_point is None else flat(x.zero_point)
    return Quantized(whole.reshape(rows, length), flat(x.scale), zero, x.bits, None, x.levels)


def _rows(x: Quantized, part: Array) -> Array:
    """A scale or zero point with an entry for each row where any axis but the last has several."""
    several = tuple(1 if n == 1 else size for n, size in zip(part.shape[:-1], x.shape[:-1], strict=True))
    return spread(part, (*several, part.shape[-1]))


def _columns(w: Quantized, part: Array) -> Array:
    """A scale or zero point of [*batch, k, n] with an entry for each column where there are several."""
    several = tuple(1 if n == 1 else size for n, size in zip(part.shape, w.shape, strict=True))
    return spread(part, (*several[:-2], part.shape[-2], several[-1]))


def _groups(first: int, second: int) -> int:
    """Into how many groups the axis falls that is summed."""
    if first != second and 1 not in (first, second):
        raise ValueError(f"scales along the axis that is summed must be alike or one, got {first} and {second}")
    return max(first, second)


def _split(a: Array, axis: int, groups: int) -> Array:
    """[*batch, groups, rows, columns] with the axis that is summed in groups; as it is where there is one."""
    if groups == 1:
        return a
    parts = jnp.stack(jnp.split(a, groups, axis=axis), axis=-3) if axis == -1 else None
    return a.reshape(*a.shape[:-2], groups, -1, a.shape[-1]) if parts is None else parts


def _split_scale(scale: Array, axis: int, groups: int) -> Array:
    """A scale for each group, beside matrices that `_split` made."""
    if groups == 1:
        return scale
    turned = jnp.moveaxis(scale, axis, -2 if axis == -1 else axis)  # [*batch, groups or 1, m] or [.., groups or 1, n]
    return turned[..., None] if axis == -1 else turned[..., None, :]


def _joined(parts: Array, groups: int) -> Array:
    return parts if groups == 1 else jnp.sum(parts, axis=-3)
