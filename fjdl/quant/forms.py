"""Arrays onto the integers of a grid and back to reals, and the forms in which integers are stored."""

import jax
import jax.numpy as jnp

from fjdl.checks import one_of
from fjdl.fused import fused
from fjdl.quant.grid import Grid, refuse_nan, rounded, spread
from fjdl.quant.packing import pack, unpack
from fjdl.quant.quantized import FLOATS, NATIVE, WHOLE, Quantized, fits, require
from fjdl.typing import Array, Float, Int, typed


@typed
def quantize(x: Float[Array, "*shape"], grid: Grid) -> Quantized:
    """`x` rounded to the nearest points of the grid, halves to even integers, and limited to its ends.

    A scale without axes holds for all entries. Integers of fewer than 8 bits are packed, see `stored`. Raises
    `ValueError` for a known NaN, and for a scale that does not fit; a traced NaN becomes the integer 0 where the scale
    is a number.

    >>> integers(quantize(jnp.array([-9.0, 0.5, 1.5]), Grid(jnp.float32(1.0), bits=4)))
    Array([-7,  0,  2], dtype=int8)
    """
    refuse_nan(x)
    return onto_grid(x, grid)


@typed
@fused
def onto_grid(x: Float[Array, "*shape"], grid: Grid) -> Quantized:
    """`quantize` without a look for NaN, which become the integer 0 where the scale is a number."""
    x = jnp.asarray(x).astype(jnp.float32)
    grid = on_axes(grid, x.shape)
    return from_integers(rounded(x, grid), grid)


@typed
@fused
def from_integers(integers: Int[Array, "*shape"], grid: Grid, *, levels: tuple[float, ...] | None = None) -> Quantized:
    """A `Quantized` of integers that were rounded in some other way, such as learned rounding, onto the grid.

    They are packed where they have fewer than 8 bits. Raises `ValueError` where the scale does not fit.

    >>> dequantize(from_integers(jnp.array([1, -2], jnp.int8), Grid(jnp.float32(1.0), bits=2)))
    Array([ 1., -2.], dtype=float32)
    """
    integers = jnp.asarray(integers).astype(jnp.int8)
    grid = on_axes(grid, integers.shape)
    if grid.bits == 8 or integers.ndim == 0:
        return require(Quantized(integers, grid.scale, grid.zero_point, grid.bits, None, levels))
    packed = pack(integers, bits=grid.bits)
    return require(Quantized(packed, grid.scale, grid.zero_point, grid.bits, integers.shape[-1], levels))


@typed
def grid_of(quantized: Quantized) -> Grid:
    """The grid of a `Quantized`, onto which other arrays can be quantized too."""
    return Grid(quantized.scale, quantized.zero_point, quantized.bits)


@typed
@fused
def integers(quantized: Quantized) -> Int[Array, "..."]:
    """The integers as int8 in the shape of the original, whatever form they are stored in.

    Raises `ValueError` for values of float8, which are no integers.
    """
    values = jnp.asarray(require(quantized).values)
    if values.dtype in FLOATS:
        raise ValueError(f"values must be integers, got {values.dtype}")
    if quantized.columns is None:
        return values.astype(jnp.int8)
    return unpack(values, bits=quantized.bits, columns=quantized.columns)


@typed
@fused
def dequantize(quantized: Quantized, *, dtype: jax.typing.DTypeLike = jnp.float32) -> Float[Array, "..."]:
    """(integers − zero_point) · scale, computed in float32 and returned in `dtype`.

    Where there are levels it is levels[integers] · scale, and of float8 values · scale.

    >>> dequantize(quantize(jnp.array([-1.0, 0.1, 1.0]), Grid(jnp.float32(0.25))))
    Array([-1.,  0.,  1.], dtype=float32)
    """
    values = decoded(quantized)
    if quantized.zero_point is not None:
        values = values - spread(quantized.zero_point, values.shape)
    return (values * spread(quantized.scale, values.shape)).astype(dtype)


@typed
@fused
def stored(quantized: Quantized, *, form: str) -> Quantized:
    """The same integers in the form "bytes" (one in each), "packed", or "native", JAX's int4 and int2.

    Packed is smallest on disk and in the memory of a CPU or GPU. On a TPU native is as small, and products read it
    without unpacking. 5 to 8 bits have no type of their own and stay int8. Raises `ValueError` for other forms.

    >>> four = quantize(jnp.array([3.0, -1.0]), Grid(jnp.float32(1.0), bits=4))
    >>> four.values, stored(four, form="native").values
    (Array([123], dtype=uint8), Array([3, -1], dtype=int4))
    """
    one_of(("bytes", "packed", "native"), form=form)
    whole, bits = integers(quantized), quantized.bits
    if form == "packed" and bits < 8 and whole.ndim:
        return from_integers(whole, grid_of(quantized), levels=quantized.levels)
    roomy = [dtype for dtype, room in NATIVE.items() if room >= bits]
    dtype = roomy[-1] if form == "native" and roomy else WHOLE
    return Quantized(whole.astype(dtype), quantized.scale, quantized.zero_point, bits, None, quantized.levels)


@typed
def on_axes(grid: Grid, shape: tuple[int, ...]) -> Grid:
    """The grid with a scale that has an axis for each of `shape`; raises `ValueError` where its lengths do not fit."""

    def with_axes(part: Array) -> Array:
        return jnp.asarray(part) if part.ndim else jnp.reshape(part, (1,) * len(shape))

    scale = with_axes(grid.scale)
    if not fits(scale.shape, shape):
        raise ValueError(
            f"the lengths of a grid's scale must divide those of what is quantized, "
            f"got {list(scale.shape)} for {list(shape)}"
        )
    return Grid(scale, None if grid.zero_point is None else with_axes(grid.zero_point), grid.bits)


@typed
@fused
def decoded(quantized: Quantized, *, dtype: jax.typing.DTypeLike = jnp.float32) -> Float[Array, "..."]:
    """Integers, levels or float8 in `dtype`: what is to be shifted by the zero point and scaled.

    Integers are converted at once: a TPU draws that into a product, and would not if it went by way of float32.
    """
    values = jnp.asarray(require(quantized).values)
    if quantized.levels is None:
        whole = values if quantized.columns is None else integers(quantized)
        return whole.astype(dtype)
    whole = integers(quantized)
    codes, bottom = whole.astype(jnp.int32), -(2 ** (quantized.bits - 1))
    real = jnp.full(codes.shape, quantized.levels[0], jnp.float32)
    for code, level in enumerate(quantized.levels[1:], start=1):  # no gather, which a TPU runs slowly
        real = jnp.where(codes == code + bottom, jnp.float32(level), real)
    return real.astype(dtype)
