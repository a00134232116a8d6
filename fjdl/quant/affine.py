"""Affine quantization of one array to integers of 2 to 8 bits: real value ≈ (integer − zero point) · step."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from fjdl.checks import within
from fjdl.typing import Array, Float, typed

Axis = int | tuple[int, ...] | None

_SMALLEST = float(jnp.finfo(jnp.float32).tiny)


class Quantized(NamedTuple):
    """An array of integers that stands for an array of reals, with these invariants.

    - `values` has the shape of the original.
    - `scale` has the rank of `values` and length 1 along each axis that shares a scale: it broadcasts.
    - `scale` is positive and at least the smallest normal float32, or NaN where its channel held a NaN or an infinity.
    - `zero_point` is None (the range is symmetric, 0 stands for 0) or has the shape of `scale` and holds whole numbers,
      which may lie outside of int8 where the range does not include 0.
    - original ≈ (values − zero_point) · scale, off by at most scale / 2 up to float32 rounding of the original.
    """

    values: Array  # int8
    scale: Array  # float32: the step between neighbouring integers
    zero_point: Array | None = None  # float32


@typed
def absmax_quantize(x: Float[Array, "*shape"], *, bits: int = 8, axis: Axis = None) -> Quantized:
    """`x` on a symmetric grid: scale = max|x| / (2^(bits−1) − 1), values = round(x / scale).

    `axis` names the axis or axes that keep a scale of their own (per channel: −1 for a kernel); None means one scale
    for all. Halves round to even. A channel of zeros gets scale 1 and so stays zero; one with a NaN or an infinity gets
    scale NaN and dequantizes to NaN, never to a wrong number. Jacob et al. 2018, arXiv:1712.05877; Dettmers et al.
    2022, arXiv:2208.07339. Raises `ValueError` for bits outside [2, 8], an axis that `x` lacks, and an empty `x`.

    >>> absmax_quantize(jnp.array([-1.0, 0.0, 1.0])).values
    Array([-127,    0,  127], dtype=int8)
    """
    within("[2, 8]", bits=bits)
    top = 2 ** (bits - 1) - 1
    x = x.astype(jnp.float32)
    largest = jnp.max(jnp.abs(x), axis=_shared_axes(x.shape, axis), keepdims=True)
    scale = _usable(largest / top, otherwise=1.0)
    return Quantized(_to_int8(x / scale, -top, top), scale)


@typed
def zeropoint_quantize(x: Float[Array, "*shape"], *, bits: int = 8, axis: Axis = None) -> Quantized:
    """`x` on a grid over its own range: scale = (max − min) / (2^bits − 1), values = round(x / scale + zero_point).

    zero_point = −round(min / scale) − 2^(bits−1), so that min lands on the lowest integer; it is kept whole and not
    limited to int8, so that a range far from 0, such as [10, 11], costs no precision. A constant channel is exact.
    Axis, rounding, NaN and errors are as in `absmax_quantize`. Jacob et al. 2018, arXiv:1712.05877.

    >>> zeropoint_quantize(jnp.array([0.0, 1.0])).values
    Array([-128,  127], dtype=int8)
    """
    within("[2, 8]", bits=bits)
    bottom, top = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    x = x.astype(jnp.float32)
    shared = _shared_axes(x.shape, axis)
    low, high = jnp.min(x, axis=shared, keepdims=True), jnp.max(x, axis=shared, keepdims=True)
    half_range = 0.5 * high - 0.5 * low  # finite where high - low overflows
    scale = _usable(half_range / (0.5 * (top - bottom)), otherwise=_usable(jnp.abs(low), otherwise=1.0))
    zero_point = bottom - jnp.round(low / scale)
    return Quantized(_to_int8(x / scale + zero_point, bottom, top), scale, zero_point)


@typed
def dequantize(quantized: Quantized, *, dtype: jax.typing.DTypeLike = jnp.float32) -> Float[Array, "..."]:
    """(values − zero_point) · scale, computed in float32 and returned in `dtype`.

    >>> dequantize(absmax_quantize(jnp.array([-1.0, 0.0, 1.0])))
    Array([-1.,  0.,  1.], dtype=float32)
    """
    values = quantized.values.astype(jnp.float32)
    if quantized.zero_point is not None:
        values = values - quantized.zero_point
    return (values * quantized.scale).astype(dtype)


def _shared_axes(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """The axes that share one scale: all but those of `axis`."""
    if 0 in shape:
        raise ValueError(f"x must not be empty, got shape {shape}")
    kept = () if axis is None else (axis,) if isinstance(axis, int) else axis
    rank = len(shape)
    for k in kept:
        if not -rank <= k < rank:
            raise ValueError(f"axis must lie in [{-rank}, {rank}) for shape {shape}, got {k}")
    return tuple(i for i in range(rank) if i not in {k % rank for k in kept})


def _usable(step: Array, *, otherwise: Array | float) -> Array:
    """`step`; `otherwise` where it is zero or subnormal, and NaN where it is not finite."""
    return jnp.where(jnp.isfinite(step), jnp.where(step >= _SMALLEST, step, otherwise), jnp.nan)


def _to_int8(x: Array, bottom: int, top: int) -> Array:
    """Rounds half to even and limits before the cast, which would wrap; NaN, whose scale is NaN, becomes 0."""
    rounded = jnp.clip(jnp.round(x), bottom, top)
    return jnp.where(jnp.isnan(rounded), 0.0, rounded).astype(jnp.int8)
