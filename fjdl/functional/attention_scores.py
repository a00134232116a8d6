"""Attention with learned scores: additive (Bahdanau et al. 2015) and multiplicative (Luong et al. 2015).

Queries are `[n, tq, d]`, such as the states of a decoder, keys and values `[n, tk, d]`, such as those of an encoder.
"""

from collections.abc import Callable

import jax.numpy as jnp

from fjdl.functional.attention import settled
from fjdl.functional.linear import linear
from fjdl.fused import fused
from fjdl.lengths import length_mask
from fjdl.lowering.attention_products import context, product
from fjdl.numerics import softmax, widened
from fjdl.typing import Array, Bool, Float, Integer, typed


@typed
@fused
def attention_weights(
    scores: Float[Array, "*batch tq tk"],
    mask: Bool[Array, "*batch #tq #tk"] | None = None,
    lengths: Integer[Array, "*batch"] | None = None,
) -> Float[Array, "*batch tq tk"]:
    """`αₜ = softmax(eₜ)` over the keys of each query t, among those that the mask and the lengths of keys leave.

    Computed in float32, in the dtype of the scores. The weights of each query sum to 1, or to 0 with zero gradient
    where it may attend to no key; a score that is masked reaches nothing, NaN included. Bahdanau et al. 2015,
    arXiv:1409.0473, eq. 6.

    >>> attention_weights(jnp.zeros((1, 1, 3)), lengths=jnp.array([2]))
    Array([[[0.5, 0.5, 0. ]]], dtype=float32)
    """
    return softmax(_masked(widened(scores), mask, lengths), -1).astype(scores.dtype)


@typed
@fused
def additive_scores(
    q: Float[Array, "n tq d"],
    k: Float[Array, "n tk e"],
    query_kernel: Float[Array, "d a"],
    key_kernel: Float[Array, "e a"],
    vector: Float[Array, "a"],
) -> Float[Array, "n tq tk"]:
    """`vᵀ tanh(W q + U k)` of each query and key, in the dtype of `q`, summed in float32.

    The network with one hidden layer of `a` units by Bahdanau et al. 2015, arXiv:1409.0473, A.1.2.
    """
    return tanh_scores(linear(q, query_kernel), linear(k, key_kernel).astype(q.dtype), vector)


@typed
@fused
def tanh_scores(
    q: Float[Array, "n tq a"], k: Float[Array, "n tk a"], vector: Float[Array, "a"]
) -> Float[Array, "n tq tk"]:
    """`vᵀ tanh(q + k)` of each query and key, in the dtype of `q`: `additive_scores` of products that are known.

    >>> tanh_scores(jnp.array([[[1.0]]]), jnp.array([[[-1.0], [0.0]]]), jnp.array([2.0]))
    Array([[[0.        , 1.523...]]], dtype=float32)
    """
    hidden = jnp.tanh(widened(q)[:, :, None] + widened(k)[:, None])
    return jnp.sum(hidden * widened(vector)[None, None, None], axis=-1).astype(q.dtype)


@typed
def dot_scores(q: Float[Array, "n tq d"], k: Float[Array, "n tk d"]) -> Float[Array, "n tq tk"]:
    """`qᵀ k` of each query and key, in the dtype of `q`, summed in float32: "dot" of Luong et al. 2015.

    >>> dot_scores(jnp.array([[[1.0, 2.0]]]), jnp.array([[[3.0, 4.0], [1.0, 0.0]]]))
    Array([[[11.,  1.]]], dtype=float32)
    """
    return product(widened(q), widened(k), dtype=q.dtype).astype(q.dtype)


@typed
def general_scores(
    q: Float[Array, "n tq d"], k: Float[Array, "n tk e"], kernel: Float[Array, "e d"]
) -> Float[Array, "n tq tk"]:
    """`qᵀ W k` of each query and key, in the dtype of `q`: "general" of Luong et al. 2015; the kernel is `Wᵀ`."""
    return dot_scores(q, linear(k, kernel).astype(q.dtype))


@typed
@fused
def concat_scores(
    q: Float[Array, "n tq d"], k: Float[Array, "n tk e"], kernel: Float[Array, "de a"], vector: Float[Array, "a"]
) -> Float[Array, "n tq tk"]:
    """`vᵀ tanh(W [q; k])` of each query and key, in the dtype of `q`: "concat" of Luong et al. 2015.

    The first rows of the kernel, one for each feature of `q`, meet the query and all others the key, so this is
    `additive_scores` with the kernel divided in two. Raises `ValueError` where it has another number of rows.
    """
    d = q.shape[2]
    if kernel.shape[0] != d + k.shape[2]:
        raise ValueError(f"kernel must have {d} + {k.shape[2]} rows, got {kernel.shape[0]}")
    return additive_scores(q, k, kernel[:d], kernel[d:], vector)


@typed
@fused
def additive_attention(
    q: Float[Array, "n tq d"],
    k: Float[Array, "n tk e"],
    v: Float[Array, "n tk f"],
    query_kernel: Float[Array, "d a"],
    key_kernel: Float[Array, "e a"],
    vector: Float[Array, "a"],
    mask: Bool[Array, "#n #tq #tk"] | None = None,
    lengths: Integer[Array, "n"] | None = None,
) -> Float[Array, "n tq f"]:
    """The context `c = Σ α v` of each query, with the weights of `additive_scores` over keys, in the dtype of `q`.

    Masks, lengths and rows without a key are those of `attention_weights`; NaN and infinities in keys and values are
    those of `dot_product_attention`: they make NaN of the queries that may attend to them, and reach no other.
    """
    return _attention(lambda q, k: additive_scores(q, k, query_kernel, key_kernel, vector), q, k, v, mask, lengths)


@typed
@fused
def tanh_attention(
    q: Float[Array, "n tq a"],
    k: Float[Array, "n tk a"],
    v: Float[Array, "n tk f"],
    vector: Float[Array, "a"],
    mask: Bool[Array, "#n #tq #tk"] | None = None,
    lengths: Integer[Array, "n"] | None = None,
) -> Float[Array, "n tq f"]:
    """The context of each query with the weights of `tanh_scores`, otherwise as `additive_attention`.

    A decoder makes the products of the keys once, and then attends to them in each step.
    """
    return _attention(lambda q, k: tanh_scores(q, k, vector), q, k, v, mask, lengths)


@typed
@fused
def dot_attention(
    q: Float[Array, "n tq d"],
    k: Float[Array, "n tk d"],
    v: Float[Array, "n tk f"],
    mask: Bool[Array, "#n #tq #tk"] | None = None,
    lengths: Integer[Array, "n"] | None = None,
) -> Float[Array, "n tq f"]:
    """The context of each query with the weights of `dot_scores`, otherwise as `additive_attention`.

    For long sequences `dot_product_attention` with one head and `scale=1.0` gives the same in blocks.
    """
    return _attention(dot_scores, q, k, v, mask, lengths)


@typed
@fused
def general_attention(
    q: Float[Array, "n tq d"],
    k: Float[Array, "n tk e"],
    v: Float[Array, "n tk f"],
    kernel: Float[Array, "e d"],
    mask: Bool[Array, "#n #tq #tk"] | None = None,
    lengths: Integer[Array, "n"] | None = None,
) -> Float[Array, "n tq f"]:
    """The context of each query with the weights of `general_scores`, otherwise as `additive_attention`."""
    return _attention(lambda q, k: general_scores(q, k, kernel), q, k, v, mask, lengths)


@typed
@fused
def concat_attention(
    q: Float[Array, "n tq d"],
    k: Float[Array, "n tk e"],
    v: Float[Array, "n tk f"],
    kernel: Float[Array, "de a"],
    vector: Float[Array, "a"],
    mask: Bool[Array, "#n #tq #tk"] | None = None,
    lengths: Integer[Array, "n"] | None = None,
) -> Float[Array, "n tq f"]:
    """The context of each query with the weights of `concat_scores`, otherwise as `additive_attention`."""
    return _attention(lambda q, k: concat_scores(q, k, kernel, vector), q, k, v, mask, lengths)


def _masked(scores: Array, mask: Array | None, lengths: Array | None) -> Array:
    if mask is not None:
        scores = jnp.where(mask, scores, -jnp.inf)
    if lengths is not None:
        scores = jnp.where(length_mask(lengths, steps=scores.shape[-1])[..., None, :], scores, -jnp.inf)
    return scores


def _attention(
    scores: Callable[[Array, Array], Array], q: Array, k: Array, v: Array, mask: Array | None, lengths: Array | None
) -> Array:
    (q, query_bias), (k, key_bias), (v, value_bias) = settled(q), settled(k.astype(q.dtype)), settled(v.astype(q.dtype))
    found = widened(scores(q, k)) + query_bias[:, :, None] + (key_bias + value_bias)[:, None]
    weights = softmax(_masked(found, mask, lengths), -1)
    return context(weights, widened(v), dtype=v.dtype).astype(v.dtype)
