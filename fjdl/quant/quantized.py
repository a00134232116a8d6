"""An array of small integers that stands for an array of reals: the one type that every quantizer returns."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from fjdl.checks import within
from fjdl.quant.packing import packed_length
from fjdl.typing import Array, Shaped, typed

WHOLE, PACKED = jnp.dtype(jnp.int8), jnp.dtype(jnp.uint8)
NATIVE = {jnp.dtype(jnp.int4): 4, jnp.dtype(jnp.int2): 2}  # bits that an entry has room for
FLOATS = (jnp.dtype(jnp.float8_e4m3fn), jnp.dtype(jnp.float8_e5m2))


@partial(
    jax.tree_util.register_dataclass,
    data_fields=("values", "scale", "zero_point"),
    meta_fields=("bits", "columns", "levels"),
)
@dataclass(frozen=True)
class Quantized:
    """Integers of 2 to 8 bits that stand for reals, real ≈ (integer − zero point) · scale, with these invariants.

    - The arrays `values`, `scale` and `zero_point` are leaves of a tree; `bits`, `columns` and `levels` are static.
    - `values` holds the integers in one of four forms, and its dtype says in which. int8: one integer a byte. uint8:
      packed along the last axis, see `pack`; `columns` is the length of that axis before. int4 and int2: JAX's own
      types, of which a TPU stores two and four in a byte and a CPU one. float8: the reals divided by `scale`.
    - Integers lie in [−2^(bits−1), 2^(bits−1)).
    - `scale` is float32 and has the rank of the original. Along each axis its length divides the original's: 1 where
      all entries share a scale, the length itself where each has its own, and n / k where each k neighbours share one.
    - `scale` is positive and at least the smallest normal float32, or NaN where its block held a NaN or an infinity.
    - `zero_point` is None (the range is symmetric, 0 stands for 0) or a float32 array of the shape of `scale`, which
      holds whole numbers. They lie outside of the integers' range only where the reals' range does not include 0.
    - `levels` is None, or one real for each of the 2^bits integers in ascending order: real ≈ levels[integer] · scale.

    `require` checks what shapes and dtypes show of this. Under `jax.vmap` and `jax.lax.scan` the leaves have one more
    axis outside, or one less inside.
    """

    values: Array
    scale: Array
    zero_point: Array | None = None
    bits: int = 8
    columns: int | None = None
    levels: tuple[float, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the original."""
        return self.values.shape if self.columns is None else (*self.values.shape[:-1], self.columns)

    @property
    def ndim(self) -> int:
        """The rank of the original."""
        return len(self.values.shape)

    @property
    def size(self) -> int:
        """The number of entries of the original."""
        total = 1
        for length in self.shape:
            total *= length
        return total


@typed
def require(quantized: Quantized) -> Quantized:
    """`quantized` itself; raises `ValueError` with the invariant that its shapes and dtypes break."""
    values, scale = quantized.values, quantized.scale
    within("[2, 8]", bits=quantized.bits)
    _require_form(values, bits=quantized.bits, columns=quantized.columns)
    if scale.dtype != jnp.float32 or not fits(scale.shape, quantized.shape):
        got = f"{scale.dtype}{list(scale.shape)} for {list(quantized.shape)}"
        raise ValueError(f"scale must be float32, and its lengths must divide those of the values, got {got}")
    zeros = quantized.zero_point
    if zeros is not None and (zeros.dtype, zeros.shape) != (scale.dtype, scale.shape):
        got = f"{zeros.dtype}{list(zeros.shape)} for {list(scale.shape)}"
        raise ValueError(f"zero_point must be float32 and of the shape of scale, got {got}")
    if quantized.levels is not None and len(quantized.levels) != 2**quantized.bits:
        raise ValueError(f"levels must be {2**quantized.bits} for {quantized.bits} bits, got {len(quantized.levels)}")
    return quantized


@typed
def fits(blocks: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether a scale of shape `blocks` has one entry for each block of an array of `shape`."""
    return len(blocks) == len(shape) and all(
        b == 1 or b == n or (b > 0 and n % b == 0) for b, n in zip(blocks, shape, strict=True)
    )


def _require_form(values: Shaped[Array, "..."], *, bits: int, columns: int | None) -> None:
    dtype = jnp.dtype(values.dtype)
    if dtype == PACKED:
        if columns is None or values.ndim == 0 or values.shape[-1] != packed_length(columns, bits=bits):
            raise ValueError(
                f"packed values must have the bytes of `columns` integers of {bits} bits along the last axis, "
                f"got {list(values.shape)} for {columns}"
            )
    elif columns is not None:
        raise ValueError(f"columns must be None unless values are packed in uint8, got {columns} for {dtype}")
    elif dtype != WHOLE and dtype not in FLOATS and NATIVE.get(dtype, 0) < bits:
        raise ValueError(f"values must be int8, packed uint8, float8, or an integer type of {bits} bits, got {dtype}")
