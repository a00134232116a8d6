"""Which steps of padded sequences count."""

import jax

from fjdl.checks import at_least
from fjdl.numerics import signed
from fjdl.typing import Array, Bool, Integer, typed


@typed
def length_mask(lengths: Integer[Array, "*batch"], *, steps: int) -> Bool[Array, "*batch {steps}"]:
    """True for the first `lengths` of so many steps, False for padding.

    Raises `ValueError` for a known length that is negative; a traced one counts as 0.

    >>> length_mask(jnp.array([1, 3]), steps=3)
    Array([[ True, False, False],
           [ True,  True,  True]], dtype=bool)
    """
    at_least(0, lengths=lengths)
    lengths = signed(lengths, name="lengths")
    numbers = jax.lax.broadcasted_iota(lengths.dtype, (*lengths.shape, steps), lengths.ndim)
    return numbers < lengths[..., None]
