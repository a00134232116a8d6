"""Local response normalization across channels."""

import math
from functools import reduce

import jax
import jax.numpy as jnp

from fjdl.numerics import accumulate
from fjdl.typing import Array, Float, typed


@typed
def local_response_norm(
    x: Float[Array, "*batch c"],
    *,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 2.0,
    average: bool = False,
) -> Float[Array, "*batch c"]:
    """`xᵢ / (k + alpha · Σⱼ xⱼ²)^beta`, summed over the `size` channels j around channel i, in the dtype of `x`.

    Channels beyond the ends count as 0; of an even size the larger half lies before channel i. The defaults are those
    of Krizhevsky, Sutskever & Hinton 2012, §3.3. `average` divides alpha by `size`, as
    `torch.nn.functional.local_response_norm` does, which this then equals.
    Computed in float32. Raises `ValueError` for a size below 1, a negative alpha, and a k that is not positive.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    if not 0 <= alpha < math.inf:
        raise ValueError(f"alpha must be finite and not negative, got {alpha}")
    if not 0 < k < math.inf:
        raise ValueError(f"k must be finite and positive, got {k}")
    wide = accumulate(x)
    base = k + (alpha / size if average else alpha) * _neighbours(jnp.square(wide), size)
    return (wide * base**-beta).astype(x.dtype)


def _neighbours(x: Array, size: int) -> Array:
    """Sums over a window of the last axis, as a sum of shifted slices, which XLA fuses."""
    width, before = x.shape[-1], size // 2
    padded = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(before, size - 1 - before)])
    slices = [jax.lax.slice_in_dim(padded, start, start + width, axis=-1) for start in range(size)]
    return reduce(jnp.add, slices)
