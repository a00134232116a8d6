"""Which steps of padded sequences count."""

import jax

from fjdl.numerics import signed
from fjdl.typing import Array, Bool, Integer, typed


@typed
def length_mask(lengths: Integer[Array, "*batch"], *, steps: int) -> Bool[Array, "*batch {steps}"]:
    """True for the first `lengths` of so many steps, False for padding; none for a negative length.

    >>> length_mask(jnp.array([1, 3]), steps=3)
    Array([[ True, False, False],
           [ True,  True,  True]], dtype=bool)
    """
    lengths = signed(lengths, name="lengths")
    numbers = jax.lax.broadcasted_iota(lengths.dtype, (*lengths.shape, steps), lengths.ndim)
    return numbers < lengths[..., None]
