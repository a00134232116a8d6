"""Scaled dot-product attention: batches first, then time, heads and features.

Everything that could make a masked key visible is kept out of the sums: a NaN in a key or value that no query may
attend to changes neither results nor gradients.
"""

import math

import jax.numpy as jnp

from fjdl.checks import at_least, within
from fjdl.fused import fused
from fjdl.lengths import length_mask
from fjdl.lowering.attention import Operands, Options, attend, weights
from fjdl.numerics import widened
from fjdl.typing import Array, Bool, Float, Integer, Number, PRNGKey, typed


@typed
@fused
def dot_product_attention(
    q: Float[Array, "n tq h d"],
    k: Float[Array, "n tk g d"],
    v: Float[Array, "n tk g e"],
    mask: Bool[Array, "#n #h #tq #tk"] | None = None,
    bias: Float[Array, "#n #h #tq #tk"] | None = None,
    lengths: Integer[Array, "n"] | None = None,
    *,
    causal: bool = False,
    scale: Number | None = None,
) -> Float[Array, "n tq h e"]:
    """Values summed with the weights of `dot_product_weights`, `softmax(scale · q kᵀ + bias) v`, in the dtype of `q`.

    There are `g` heads of keys and values for `h` heads of queries; each serves `h / g` of them, in their order
    (Ainslie et al. 2023, arXiv:2305.13245). A query may attend to a key where the `mask` is True, among the first
    `lengths` keys of its example, where the `bias` is not -inf, and with `causal` to none whose number is above its
    own. A query that may attend to none gives 0 with zero gradient, where `jax.nn` gives the mean of what is masked. A
    key or value that holds NaN or an infinity makes all queries NaN that may attend to it, and reaches no other.

    Scores and weights are float32. Where there are many scores they are computed in blocks of queries, and again in the
    backward pass: values and gradients are the same, and memory grows with the length and not with its square; with
    `causal`, most blocks of keys that are masked are skipped. `scale` is `1 / √d` where it is not given. Raises
    `ValueError` where `g` does not divide `h`. Vaswani et al. 2017, arXiv:1706.03762. Equals
    `jax.nn.dot_product_attention(is_causal=...)` and, with heads as the second axis,
    `torch.nn.functional.scaled_dot_product_attention(is_causal=..., enable_gqa=True)`.

    >>> x = jnp.array([[1.0, 0.0], [0.0, 1.0]]).reshape(1, 2, 1, 2)
    >>> dot_product_attention(x, x, x, causal=True)[0, :, 0]
    Array([[1.        , 0.        ],
           [0.3302..., 0.6697...]], dtype=float32)
    """
    operands = _operands(q, k, v, mask=mask, bias=bias, lengths=lengths, causal=causal)
    return _ungrouped(attend(operands, _options(q, k, causal=causal, scale=scale)))


@typed
@fused
def dot_product_weights(
    q: Float[Array, "n tq h d"],
    k: Float[Array, "n tk g d"],
    mask: Bool[Array, "#n #h #tq #tk"] | None = None,
    bias: Float[Array, "#n #h #tq #tk"] | None = None,
    lengths: Integer[Array, "n"] | None = None,
    *,
    causal: bool = False,
    scale: Number | None = None,
) -> Float[Array, "n h tq tk"]:
    """The weights of `dot_product_attention` in [0, 1], for pictures: the softmax over keys of each query's scores.

    They are float32 and sum to 1, or to 0 for a query that may attend to no key. This is the form that needs memory for
    all of them.

    >>> x = jnp.ones((1, 2, 1, 2))
    >>> dot_product_weights(x, x, causal=True)[0, 0]
    Array([[1. , 0. ],
           [0.5, 0.5]], dtype=float32)
    """
    operands = _operands(q, k, k, mask=mask, bias=bias, lengths=lengths, causal=causal)
    found = weights(operands, _options(q, k, causal=causal, scale=scale))
    n, g, r, t, s = found.shape
    return found.reshape(n, g * r, t, s)


@typed
def dropout_attention(
    key: PRNGKey,
    q: Float[Array, "n tq h d"],
    k: Float[Array, "n tk g d"],
    v: Float[Array, "n tk g e"],
    mask: Bool[Array, "#n #h #tq #tk"] | None = None,
    bias: Float[Array, "#n #h #tq #tk"] | None = None,
    lengths: Integer[Array, "n"] | None = None,
    *,
    rate: Number,
    causal: bool = False,
    scale: Number | None = None,
) -> Float[Array, "n tq h e"]:
    """`dot_product_attention` with each weight set to 0 with probability `rate` or divided by `1 - rate`, for training.

    What is dropped depends on the key and the place of the weight alone, not on the blocks of the computation. Equals
    `torch.nn.functional.scaled_dot_product_attention(dropout_p=rate)` up to the generator. Raises `ValueError` for a
    rate outside [0, 1].
    """
    within("[0, 1]", rate=rate)
    operands = _operands(q, k, v, mask=mask, bias=bias, lengths=lengths, causal=causal)
    n, g, r = operands.q.shape[:3]
    heads = jnp.arange(n * g * r, dtype=jnp.int32).reshape(n, g, r, 1, 1)
    options = _options(q, k, causal=causal, scale=scale)
    return _ungrouped(attend(operands._replace(heads=heads, dropout=(key, rate)), options))


@typed
def unguarded(
    q: Float[Array, "n tq h d"],
    k: Float[Array, "n tk g d"],
    v: Float[Array, "n tk g e"],
    mask: Bool[Array, "#n #h #tq #tk"],
    *,
    scale: Number | None,
) -> Float[Array, "n tq h e"]:
    """`dot_product_attention` to keys and values that are known to be finite, of which no further pass is made."""
    operands = _operands(q, k, v, mask=mask, bias=None, lengths=None, causal=False, guarded=False)
    return _ungrouped(attend(operands, _options(q, k, causal=False, scale=scale)))


@typed
def causal_mask(*, queries: int, keys: int, first: int | Integer[Array, ""] = 0) -> Bool[Array, "1 1 {queries} {keys}"]:
    """Where key number j is not above query number `first + i`, for `mask` of `dot_product_attention`.

    >>> causal_mask(queries=2, keys=3)[0, 0]
    Array([[ True, False, False],
           [ True,  True, False]], dtype=bool)
    """
    at_least(0, queries=queries, keys=keys)
    rows = first + jnp.arange(queries)[:, None]
    return (rows >= jnp.arange(keys)[None])[None, None]


@typed
def settled(x: Float[Array, "*batch d"]) -> tuple[Float[Array, "*batch d"], Float[Array, "*batch"]]:
    """Vectors without NaN and infinities, 0 in their place, and what to add to the scores of those: NaN, or 0."""
    finite = jnp.all(jnp.isfinite(x), axis=-1)
    return jnp.where(finite[..., None], x, 0), jnp.where(finite, jnp.float32(0), jnp.float32(jnp.nan))


def _operands(
    q: Array,
    k: Array,
    v: Array,
    *,
    mask: Array | None,
    bias: Array | None,
    lengths: Array | None,
    causal: bool,
    guarded: bool = True,
) -> Operands:
    """As `fjdl.lowering` takes them; `guarded` keeps NaN and infinities of what may be masked out of products."""
    (_, t, h, _), (_, s, g, _) = q.shape, k.shape
    k, v = k.astype(q.dtype), v.astype(q.dtype)
    if g == 0 or h % g:
        raise ValueError(f"the heads of keys must divide those of queries, got {g} and {h}")
    query_bias = key_bias = None
    if guarded and (causal or mask is not None or bias is not None or lengths is not None):
        (q, query_bias), (k, key_bias), (v, value_bias) = settled(q), settled(k), settled(v)
        query_bias, key_bias = query_bias.swapaxes(1, 2)[..., None], key_bias + value_bias
    if lengths is not None:
        inside = length_mask(lengths, steps=s)[..., None]
        key_bias = jnp.where(inside, jnp.float32(0) if key_bias is None else key_bias, -jnp.inf)
    if bias is not None:
        attended = bias != -jnp.inf
        mask = attended if mask is None else mask & attended
    return Operands(
        q=_grouped(q.swapaxes(1, 2), g),
        k=widened(k).swapaxes(1, 2),
        v=widened(v).swapaxes(1, 2),
        rows=jnp.arange(t, dtype=jnp.int32).reshape(1, 1, 1, t, 1),
        key_bias=None if key_bias is None else key_bias.swapaxes(1, 2)[:, :, None, None, :],
        query_bias=None if query_bias is None else _grouped(query_bias, g),
        mask=None if mask is None else _grouped(mask, g),
        bias=None if bias is None else _grouped(bias, g),
    )


def _options(q: Array, k: Array, *, causal: bool, scale: Number | None) -> Options:
    if scale is None and not q.shape[3]:
        raise ValueError(f"scale must be given for queries without features, got shape {q.shape}")
    return Options(q.dtype, 1 / math.sqrt(q.shape[3]) if scale is None else scale, causal, k.shape[1])


def _grouped(x: Array, g: int) -> Array:
    """[n, h, ...] as [n, g, h / g, ...], and one head for all as [n, 1, 1, ...]."""
    heads = (1, 1) if x.shape[1] == 1 else (g, x.shape[1] // g)
    return x.reshape(x.shape[0], *heads, *x.shape[2:])


def _ungrouped(x: Array) -> Array:
    """[n, g, r, t, e] as [n, t, g · r, e]."""
    n, g, r, t, e = x.shape
    return x.reshape(n, g * r, t, e).swapaxes(1, 2)
