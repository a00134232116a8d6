"""What number formats hold: bits, range, precision."""

import math
from typing import NamedTuple

import jax.numpy as jnp
from jax.typing import DTypeLike

from fjdl.typing import typed


class Info(NamedTuple):
    """One number format. A floating-point number is ± (1 + fraction) · 2^exponent; integers have no such parts."""

    name: str
    bits: int  # of a number; bool, int4 and int2 take a whole byte on a CPU
    sign: int  # bits of the sign, 0 or 1
    exponent: int  # bits of the exponent
    mantissa: int  # bits of the fraction that are stored, or of the integer's magnitude
    digits: float  # significant decimal digits that every number in the range is kept to
    largest: float
    lowest: float
    eps: float  # from 1 to the next number; 1 of integers
    tiny: float  # the smallest positive number of full precision
    least: float  # the smallest positive number
    infinity: bool  # whether the format has one; without it what is too large becomes NaN in a plain cast

    def bytes_of(self, count: int) -> int:
        """Bytes of so many numbers that lie one after the other without gaps.

        >>> info("float32").bytes_of(11_000_000_000), info("int4").bytes_of(3)
        (44000000000, 2)
        """
        return -(-count * self.bits // 8)


@typed
def info(dtype: DTypeLike) -> Info:
    """The properties of a real number format, by its name or type: floats of 8 to 64 bits and integers of 2 to 64.

    The digits of a float are (mantissa + 1) · log10(2), for the bit that is not stored counts; those of an integer are
    the digits of its magnitude. Raises `ValueError` for booleans, complex numbers and what is no number format.

    >>> half = info("float16")
    >>> (half.sign, half.exponent, half.mantissa), half.largest, round(half.digits, 2)
    ((1, 5, 10), 65504.0, 3.31)
    """
    try:
        kind = jnp.dtype(dtype)
    except TypeError:
        raise ValueError(f"dtype must be a number format, got {dtype!r}") from None
    if jnp.issubdtype(kind, jnp.floating):
        return _float(kind)
    if jnp.issubdtype(kind, jnp.integer):
        return _integer(kind)
    raise ValueError(f"dtype must be a format of real numbers, got {kind}")


def _float(kind: jnp.dtype) -> Info:
    limits = jnp.finfo(kind)
    fraction = int(limits.nmant)
    return Info(
        name=kind.name,
        bits=int(limits.bits),
        sign=1,
        exponent=int(limits.bits) - 1 - fraction,
        mantissa=fraction,
        digits=(fraction + 1) * math.log10(2),
        largest=float(limits.max),
        lowest=float(limits.min),
        eps=float(limits.eps),
        tiny=float(limits.tiny),
        least=float(limits.smallest_subnormal),
        infinity=not kind.name.startswith("float8_e4m3"),
    )


def _integer(kind: jnp.dtype) -> Info:
    limits = jnp.iinfo(kind)
    sign = int(limits.min < 0)
    magnitude = int(limits.bits) - sign
    return Info(
        name=kind.name,
        bits=int(limits.bits),
        sign=sign,
        exponent=0,
        mantissa=magnitude,
        digits=magnitude * math.log10(2),
        largest=float(limits.max),
        lowest=float(limits.min),
        eps=1.0,
        tiny=1.0,
        least=1.0,
        infinity=False,
    )
