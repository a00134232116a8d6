"""Integers of fewer than 8 bits in bytes, exactly: no bit is left over but at the end of a row."""

import jax.numpy as jnp

from fjdl.checks import at_least, within
from fjdl.fused import fused
from fjdl.typing import Array, Int, Shaped, UInt8, typed

# An integer is cut into fields whose widths divide a byte, the lowest bits first.
_FIELDS = {2: (2,), 3: (2, 1), 4: (4,), 5: (4, 1), 6: (4, 2), 7: (4, 2, 1), 8: (8,)}


@typed
def packed_length(length: int, *, bits: int) -> int:
    """Bytes that `pack` needs for a row of `length` integers of so many bits.

    >>> packed_length(65, bits=4), packed_length(65, bits=3), packed_length(65, bits=2)
    (33, 26, 17)
    """
    within("[2, 8]", bits=bits)
    return sum(_row(length, width) for width in _FIELDS[bits])


@typed
@fused
def pack(integers: Int[Array, "*batch n"], *, bits: int) -> UInt8[Array, "*batch m"]:
    """Integers in [−2^(bits−1), 2^(bits−1)) in bytes, along the last axis; see `packed_length` for m.

    Each integer is made unsigned by adding 2^(bits−1), and cut into fields of 4, 2 and 1 bits: 3 bits are one of 2 and
    one of 1. The fields of one width lie together: byte i of m holds those of the integers i, i + m, i + 2m, … from its
    lowest bits on. So a row is unpacked by shifts of whole rows, and nothing is interleaved. Rows of zeros fill up the
    last byte. Integers beyond the range lose their upper bits. Raises `ValueError` for bits outside [2, 8].

    >>> pack(jnp.array([-8, 7, 1], jnp.int8), bits=4)  # 0, 15 and 9 when unsigned; byte 0 holds the first and the last
    Array([144,  15], dtype=uint8)
    """
    within("[2, 8]", bits=bits)
    unsigned = (jnp.asarray(integers).astype(jnp.int32) + 2 ** (bits - 1)).astype(jnp.uint8)
    parts, done = [], 0
    for width in _FIELDS[bits]:
        parts.append(_packed_fields((unsigned >> jnp.uint8(done)) & jnp.uint8(2**width - 1), width))
        done += width
    return jnp.concatenate(parts, axis=-1)


@typed
@fused
def unpack(packed: UInt8[Array, "*batch m"], *, bits: int, columns: int) -> Int[Array, "*batch n"]:
    """The `columns` integers of each row that `pack` packed, as int8.

    Raises `ValueError` for bits outside [2, 8], and where a row does not have the bytes of so many integers.

    >>> unpack(jnp.array([144, 15], jnp.uint8), bits=4, columns=3)
    Array([-8,  7,  1], dtype=int8)
    """
    at_least(0, columns=columns)
    packed = jnp.asarray(packed)
    if packed.shape[-1] != packed_length(columns, bits=bits):
        raise ValueError(
            f"columns must be integers of {bits} bits that {packed.shape[-1]} bytes hold, got {columns}, which need "
            f"{packed_length(columns, bits=bits)}"
        )
    unsigned, first, done = jnp.zeros((), jnp.uint8), 0, 0
    for width in _FIELDS[bits]:
        last = first + _row(columns, width)
        fields = _fields(packed[..., first:last], width, columns) << jnp.uint8(done)
        unsigned = fields if done == 0 else unsigned | fields
        first, done = last, done + width
    return (unsigned ^ jnp.uint8(2 ** (bits - 1))).astype(jnp.int8) if bits == 8 else _signed(unsigned, bits)


def _row(length: int, width: int) -> int:
    """Bytes for fields of `width` bits."""
    return -(-length * width // 8)


def _packed_fields(fields: Shaped[Array, "*batch n"], width: int) -> Shaped[Array, "*batch m"]:
    """Fields of one width in bytes."""
    each, m = 8 // width, _row(fields.shape[-1], width)
    filled = jnp.pad(fields, [(0, 0)] * (fields.ndim - 1) + [(0, each * m - fields.shape[-1])])
    packed = filled[..., :m]
    for i in range(1, each):
        packed = packed | (filled[..., i * m : (i + 1) * m] << jnp.uint8(i * width))
    return packed


def _fields(packed: Shaped[Array, "*batch m"], width: int, columns: int) -> Shaped[Array, "*batch n"]:
    """The inverse of `_packed_fields`."""
    rows = [(packed >> jnp.uint8(i * width)) & jnp.uint8(2**width - 1) for i in range(8 // width)]
    return jnp.concatenate(rows, axis=-1)[..., :columns]


def _signed(unsigned: Shaped[Array, "*shape"], bits: int) -> Shaped[Array, "*shape"]:
    return unsigned.astype(jnp.int8) - jnp.int8(2 ** (bits - 1))
