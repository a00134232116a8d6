"""Positions of tokens: added to their vectors, or as rotations of queries and keys.

Learned positions are rows of a table, which `fjdl.functional.embedding` looks up.
"""

import jax.numpy as jnp
from jax.typing import DTypeLike

from fjdl.checks import at_least, within
from fjdl.fused import fused
from fjdl.numerics import wide, widened
from fjdl.typing import Array, Float, Integer, Num, Number, typed


@typed
@fused
def sinusoidal_positions(
    positions: Num[Array, "*batch t"], *, features: int, base: Number = 10000.0
) -> Float[Array, "*batch t {features}"]:
    """Sines in the even and cosines in the odd features of each position, in float32, in [-1, 1].

    Features 2i and 2i + 1 are `sin` and `cos` of `position / base^(2i / features)`. Raises `ValueError` for an odd
    number of features, and for a base that is not positive and finite. Vaswani et al. 2017, arXiv:1706.03762, 3.5.

    >>> sinusoidal_positions(jnp.arange(2), features=2)
    Array([[0.       , 1.       ],
           [0.8414..., 0.5403...]], dtype=float32)
    """
    angles = _angles(positions, features=features, base=base, dtype=wide(positions.dtype))
    return jnp.stack([jnp.sin(angles), jnp.cos(angles)], axis=-1).reshape(*angles.shape[:-1], features)


@typed
@fused
def rotary_halves(
    x: Float[Array, "n t h d"], positions: Integer[Array, "#n t"] | None = None, *, base: Number = 10000.0
) -> Float[Array, "n t h d"]:
    """Queries or keys with each pair of features i and i + d/2 turned by the angle `position / base^(2i / d)`.

    Products of a query and a key so turned depend on the difference of their positions alone. `positions` count from 0
    where they are not given. Computed in float32, in the dtype of `x`. Raises `ValueError` for an odd number of
    features. Su et al. 2021, arXiv:2104.09864, with the pairs of GPT-NeoX and Llama; `rotary_interleaved` has those of
    the paper.

    >>> rotary_halves(jnp.ones((1, 2, 1, 2)))[0, :, 0]
    Array([[ 1.       ,  1.       ],
           [-0.3011...,  1.3817...]], dtype=float32)
    """
    cosine, sine = _rotation(x, positions, base)
    first, second = jnp.split(widened(x), 2, axis=-1)
    turned = first * cosine - second * sine, second * cosine + first * sine
    return jnp.concatenate(turned, axis=-1).astype(x.dtype)


@typed
@fused
def rotary_interleaved(
    x: Float[Array, "n t h d"], positions: Integer[Array, "#n t"] | None = None, *, base: Number = 10000.0
) -> Float[Array, "n t h d"]:
    """Queries or keys with each pair of features 2i and 2i + 1 turned by the angle `position / base^(2i / d)`.

    Everything else is as in `rotary_halves`, whose pairs are these in another order. The pairs of the paper, of GPT-J
    and of PaLM.

    >>> rotary_interleaved(jnp.ones((1, 2, 1, 2)))[0, :, 0]
    Array([[ 1.       ,  1.       ],
           [-0.3011...,  1.3817...]], dtype=float32)
    """
    cosine, sine = _rotation(x, positions, base)
    first, second = widened(x)[..., ::2], widened(x)[..., 1::2]
    turned = first * cosine - second * sine, second * cosine + first * sine
    return jnp.stack(turned, axis=-1).reshape(x.shape).astype(x.dtype)


def _rotation(x: Array, positions: Array | None, base: Number) -> tuple[Array, Array]:
    """Cosine and sine `[n, t, 1, d / 2]` of the angles of all pairs."""
    numbers = jnp.arange(x.shape[1])[None] if positions is None else jnp.asarray(positions)
    angles = _angles(numbers, features=x.shape[3], base=base, dtype=wide(x.dtype))[:, :, None]
    return jnp.cos(angles), jnp.sin(angles)


def _angles(positions: Array, *, features: int, base: Number, dtype: DTypeLike) -> Array:
    within("(0, inf)", base=base)
    at_least(0, features=features)
    if features % 2:
        raise ValueError(f"features must be even, got {features}")
    powers = jnp.arange(0, features, 2).astype(dtype) / features
    frequencies = jnp.asarray(base, dtype) ** -powers
    return jnp.asarray(positions).astype(dtype)[..., None] * frequencies.reshape((1,) * positions.ndim + (-1,))
