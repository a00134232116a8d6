"""Keys and values of the tokens so far, for decoding one token after the other."""

from typing import Any, NamedTuple

from jax import lax

from fjdl.calls import received
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
    and does not is moved there. Raises `ValueError` for one that is known and does not, for a cache of other shapes,
    and for one with fewer steps.

    >>> empty = KeyValues(jnp.zeros((1, 3, 1, 1)), jnp.zeros((1, 3, 1, 1)))
    >>> write_step(empty, jnp.ones((1, 1, 1, 1)), jnp.ones((1, 1, 1, 1)), position=1).k.reshape(-1)
    Array([0., 1., 0.], dtype=float32)
    """
    _require_cache(cache, n=k.shape[0], g=k.shape[2], d=k.shape[3], e=v.shape[3])
    _require_places(cache, k.shape[1], position)
    pairs = zip(cache, (k, v), strict=True)
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
    Raises `ValueError` for a cache whose shapes do not fit, and for a known position that does not lie in [0, s - t].

    >>> filled = KeyValues(jnp.zeros((1, 3, 1, 1)), jnp.array([1.0, 3.0, 9.0]).reshape(1, 3, 1, 1))
    >>> cached_attention(jnp.ones((1, 1, 1, 1)), filled, position=1).reshape(-1)
    Array([2.], dtype=float32)
    """
    _require_cache(cache, n=q.shape[0], d=q.shape[3])
    _require_places(cache, q.shape[1], position)
    mask = causal_mask(queries=q.shape[1], keys=cache.k.shape[1], first=position)
    return unguarded(q, cache.k, cache.v, mask, scale=scale)


def _require_places(cache: KeyValues, count: int, position: int | Array) -> None:
    """Raises `ValueError` where it is known that so many steps from `position` on do not lie in the cache."""
    steps = cache.k.shape[1]
    if certain(lambda: count > steps):
        raise ValueError(f"cache must have room for {count} steps, got {steps}")
    last, first = steps - count, known(position)
    if first is not None and (first < 0 or certain(lambda: first > last)):
        raise ValueError(f"position must lie in [0, {last}], got {first}")


def _require_cache(cache: KeyValues, **sizes: Any) -> None:
    """Refuses a cache that does not hold `k` [n, s, g, d] and `v` [n, s, g, e], where some sizes are known."""
    k, v = cache
    fits = k.ndim == v.ndim == 4 and k.shape[:3] == v.shape[:3]
    have = dict(zip("nsgde", (*k.shape, v.shape[-1]), strict=True)) if fits else {}
    if not fits or any(have[axis] != size for axis, size in sizes.items()):
        asked = ", ".join(f"{axis}={size}" for axis, size in sizes.items())
        got = f"{received(k)} and {received(v)}"
        raise ValueError(f"cache must hold k [n, s, g, d] and v [n, s, g, e] with {asked}, got {got}")
