"""Keys and values of the tokens so far, for decoding one token after the other."""

from typing import NamedTuple

from jax import lax

from fjdl.checks import known
from fjdl.functional.attention import causal_mask, unguarded
from fjdl.geometry import certain
from fjdl.typing import Array, Float, Integer, Number, typed


class KeyValues(NamedTuple):
    """Keys and values of a sequence, or of as many steps as it may get."""

    k: Array  # [n, s, g, d]
    v: Array  # [n, s, g, e]


@typed
def write_step(
    cache: KeyValues, k: Float[Array, "n t g d"], v: Float[Array, "n t g e"], *, position: int | Integer[Array, ""]
) -> KeyValues:
    """The cache with keys and values of `t` tokens at `position` and after it, in the dtype of the cache.

    Under `jit` with the cache donated it is written in place. The position must lie in [0, s - t]: one that is traced
    and does not is moved there. Raises `ValueError` for one that is known and does not, and unless keys and values have
    the cache's sequences, heads and features, and no more steps.

    >>> empty = KeyValues(jnp.zeros((1, 3, 1, 1)), jnp.zeros((1, 3, 1, 1)))
    >>> write_step(empty, jnp.ones((1, 1, 1, 1)), jnp.ones((1, 1, 1, 1)), position=1).k.reshape(-1)
    Array([0., 1., 0.], dtype=float32)
    """
    pairs = list(zip(cache, (k, v), strict=True))
    for name, (old, new) in zip(KeyValues._fields, pairs, strict=True):
        (n, s, *features), (m, t, *others) = old.shape, new.shape
        if (n, features) != (m, others) or certain(lambda s=s, t=t: t > s):
            raise ValueError(f"{name} must fit into the cache's, of shape {old.shape}, got shape {new.shape}")
    _require_places(cache, k.shape[1], position)
    return KeyValues(*(lax.dynamic_update_slice_in_dim(old, new.astype(old.dtype), position, 1) for old, new in pairs))


@typed
def cached_attention(
    q: Float[Array, "n t h d"],
    cache: KeyValues,
    *,
    position: int | Integer[Array, ""],
    scale: Number | None = None,
) -> Float[Array, "n t h e"]:
    """`dot_product_attention` of queries number `position` and after it to all that the cache holds up to each of them.

    After `write_step` of their own keys and values the result is that of causal attention over the whole sequence. What
    stands in the cache beyond them reaches nothing; it must be finite, as zeros are: no pass over the cache checks it.
    Raises `ValueError` for a known position that does not lie in [0, s - t].

    >>> filled = KeyValues(jnp.zeros((1, 3, 1, 1)), jnp.array([1.0, 3.0, 9.0]).reshape(1, 3, 1, 1))
    >>> cached_attention(jnp.ones((1, 1, 1, 1)), filled, position=1).reshape(-1)
    Array([2.], dtype=float32)
    """
    _require_places(cache, q.shape[1], position)
    mask = causal_mask(queries=q.shape[1], keys=cache.k.shape[1], first=position)
    return unguarded(q, cache.k, cache.v, mask, scale=scale)


def _require_places(cache: KeyValues, count: int, position: int | Array) -> None:
    """Raises `ValueError` where it is known that so many steps from `position` on do not lie in the cache."""
    last, first = cache.k.shape[1] - count, known(position)
    if first is not None and (first < 0 or certain(lambda: first > last)):
        raise ValueError(f"position must lie in [0, {last}], got {first}")
