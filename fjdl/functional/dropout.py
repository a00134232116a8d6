"""Dropout."""

import jax
import jax.numpy as jnp

from fjdl.numerics import accumulate
from fjdl.typing import Array, Float, PRNGKey, typed


@typed
def dropout(key: PRNGKey, x: Float[Array, "*shape"], *, rate: float) -> Float[Array, "*shape"]:
    """`x` with each entry set to 0 with probability `rate` and all others divided by `1 - rate`, in the dtype of `x`.

    The expectation is `x` (inverted dropout, Srivastava et al. 2014, JMLR 15), so nothing is left to do at prediction.
    The same key gives the same mask. `rate` 0 keeps everything and `rate` 1 gives zeros. Equals
    `torch.nn.functional.dropout` up to the generator. Raises `ValueError` for a rate outside [0, 1].
    """
    if not 0 <= rate <= 1:
        raise ValueError(f"rate must lie in [0, 1], got {rate}")
    kept = jax.random.bernoulli(key, 1.0 - rate, x.shape)
    scale = 1 / (1 - rate) if rate < 1 else 0.0
    return jnp.where(kept, accumulate(x) * scale, 0).astype(x.dtype)
