"""Scaled dot products, softmax and weighted sums: all at once where scores are few, in blocks where they are many.

The blocks give the same values and gradients, to rounding, and need memory that grows with the length and not with its
square: the scores of a block are computed anew in the backward pass. Heads of keys stand apart from the queries of one
group: queries are `[n, g, r, t, d]`, keys and values `[n, g, s, d]`, masks and biases `[n, g, r, t, s]`, where each
axis may be 1.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jax.typing import DTypeLike

from fjdl.geometry import certain
from fjdl.lowering.attention_products import context, scaled
from fjdl.numerics import softmax, widened
from fjdl.platforms import by_platform
from fjdl.typing import Array, Number

FEW = 2**20  # scores that are computed all at once
SHORT = 2**14  # scores of a head that are no more than its inputs
ROWS_ON_CPU = 256  # queries of a block: at length 4096, 512 took as long, 128 1.05 times as long
SCORES_ON_CHIP = 2**24  # of a block, so that they do not leave a TPU's memory on the chip
LEAST_ROWS = 128  # queries of a block on a TPU
_SAVED = "fjdl_attention_sums"  # what a block keeps for the backward pass: one number for each output, two for each row
STEPS = 8  # blocks of a causal mask whose keys end at different places


class Operands(NamedTuple):
    """What attention is computed of; None where it is not given."""

    q: Array  # [n, g, r, t, d]
    k: Array  # [n, g, s, d], in float32, so that blocks add gradients in it
    v: Array  # [n, g, s, e], in float32
    rows: Array  # [1, 1, 1, t, 1], the number of each query
    key_bias: Array | None = None  # [n, g, 1, 1, s], in float32
    query_bias: Array | None = None  # [n, g, r, t, 1], in float32
    mask: Array | None = None  # [n, g, r, t, s]
    bias: Array | None = None  # [n, g, r, t, s]
    heads: Array | None = None  # [n, g, r, 1, 1], the number of each head among all of the batch, for dropout
    dropout: tuple[Array, Any] | None = None  # a random key and the rate


class Options(NamedTuple):
    """How it is computed, beside the arrays."""

    dtype: DTypeLike  # to which factors of products are rounded, and the result
    scale: Number
    causal: bool = False
    keys: int = 0  # of all blocks together: so many are drawn for each query in dropout


def attend(operands: Operands, options: Options) -> Array:
    """Values summed with the weights, `[n, g, r, t, e]`."""
    shape = (*operands.q.shape[:4], operands.k.shape[2])
    if _few(shape):
        return _attend(operands, options)
    rows = min(ROWS_ON_CPU, shape[3])
    apart, rows_elsewhere = on_chip(shape)
    return by_platform(
        operands,
        cpu=lambda operands: in_blocks(operands, options, axes=(0, 1), rows=rows),
        elsewhere=lambda operands: in_blocks(operands, options, axes=(0,) if apart else (), rows=rows_elsewhere),
    )


def _few(shape: tuple[int, ...]) -> bool:
    n, g, r, t, s = shape
    return certain(lambda: t * s <= SHORT) or certain(lambda: n * g * r * t * s <= FEW)


def on_chip(shape: tuple[int, ...]) -> tuple[bool, int]:
    """Whether examples are taken one by one, and the queries of a block, so that its scores stay on the chip."""
    n, g, r, t, s = shape
    apart = not certain(lambda: n * g * r * LEAST_ROWS * s <= SCORES_ON_CHIP)
    together = g * r * s if apart else n * g * r * s
    if not certain(lambda: together > 0):
        return apart, LEAST_ROWS
    blocks = max(2, -(-together * t // SCORES_ON_CHIP))
    rows = -(-t // blocks)
    return apart, max(LEAST_ROWS, -(-rows // 8) * 8)


def in_blocks(operands: Operands, options: Options, *, axes: tuple[int, ...], rows: int) -> Array:
    """`attend` in blocks of so many queries, one index of each of the `axes` at a time."""
    if axes:
        return _one_by_one(lambda part: in_blocks(part, options, axes=axes[1:], rows=rows), operands, axes[0])
    length, keys = operands.q.shape[3], operands.k.shape[2]
    if not options.causal:
        return _rows_in_turn(operands, options, rows)
    step = rows * max(1, -(-length // (rows * STEPS)))
    parts = [
        _rows_in_turn(_prefix(operands, start, min(start + step, length), min(start + step, keys)), options, rows)
        for start in range(0, length, step)
    ]
    return jnp.concatenate(parts, axis=3)


def _prefix(operands: Operands, start: int, stop: int, keys: int) -> Operands:
    """The queries of a range, and the first keys."""

    def cut(x: Array | None) -> Array | None:
        if x is None:
            return None
        x = x if x.shape[3] == 1 else x[..., start:stop, :]
        return x if x.shape[4] == 1 else x[..., :keys]

    return operands._replace(
        q=operands.q[..., start:stop, :],
        k=operands.k[:, :, :keys],
        v=operands.v[:, :, :keys],
        rows=operands.rows[..., start:stop, :],
        **{name: cut(getattr(operands, name)) for name in ("key_bias", "query_bias", "mask", "bias")},
    )


def _rows_in_turn(operands: Operands, options: Options, rows: int) -> Array:
    """Blocks of so many queries in a loop, and the rest of them."""
    length = operands.q.shape[3]
    saved = jax.checkpoint_policies.save_only_these_names(_SAVED)
    block = jax.checkpoint(lambda operands: _attend(operands, options), prevent_cse=False, policy=saved)
    loops = length // rows
    if loops <= 1 and length <= rows:
        return block(operands)
    first = _loop_over(operands, block, loops, rows)
    if length == loops * rows:
        return first
    rest = _prefix(operands, loops * rows, length, operands.k.shape[2])
    return jnp.concatenate([first, block(rest)], axis=3)


def _loop_over(operands: Operands, block: Callable[[Operands], Array], loops: int, rows: int) -> Array:
    def split(x: Array) -> Array:
        x = x[..., : loops * rows, :].reshape(*x.shape[:3], loops, rows, x.shape[4])
        return jnp.moveaxis(x, 3, 0)

    names = [name for name in ("q", "rows", "query_bias", "mask", "bias") if _long(getattr(operands, name), 3)]
    parts = {name: split(getattr(operands, name)) for name in names}
    out = lax.map(lambda parts: block(operands._replace(**parts)), parts)
    out = jnp.moveaxis(out, 0, 3)
    return out.reshape(*out.shape[:3], loops * rows, out.shape[5])


def _one_by_one(function: Callable[[Operands], Array], operands: Operands, axis: int) -> Array:
    names = [name for name in operands._fields[:-1] if name != "rows" and _long(getattr(operands, name), axis)]
    if not names:
        return function(operands)
    parts = {name: jnp.expand_dims(jnp.moveaxis(getattr(operands, name), axis, 0), axis + 1) for name in names}
    out = lax.map(lambda parts: function(operands._replace(**parts)), parts)
    return jnp.moveaxis(jnp.squeeze(out, axis + 1), 0, axis)


def _long(x: Array | None, axis: int) -> bool:
    return x is not None and not certain(lambda: x.shape[axis] == 1)


def _attend(operands: Operands, options: Options) -> Array:
    found = scores(operands, options)
    n, g, r, t, s = found.shape
    kept = None
    if operands.dropout is not None and operands.heads is not None:
        kept = _kept(*operands.dropout, operands.heads, operands.rows, options.keys)
        kept = kept[..., :s].reshape(n * g, r * t, s)
    e = operands.v.shape[3]
    rows = found.reshape(n * g, r * t, s), operands.v.reshape(n * g, s, e)
    out = sums(options.dtype, *rows, kept)[0].reshape(n, g, r, t, e)
    if operands.dropout is not None:
        rate = operands.dropout[1]
        out = out / jnp.where(rate < 1, 1 - rate, 1)
    return out.astype(options.dtype)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def sums(dtype: DTypeLike, scores: Array, v: Array, kept: Array | None) -> tuple[Array, Array, Array]:
    """Values summed with the softmax of `scores` as weights, of which only those that are `kept` count.

    Their largest entry, of which nothing counts as a function, and the logarithm of the sum of exponentials below it
    come out beside: with them the weights are made again in one pass. All are `[b, rows, ...]`. Factors of products are
    rounded to the dtype. The derivative is stated, `Σ w (ṡ - Σ w ṡ) v` as `Σ w ṡ v - (Σ w ṡ) Σ w v`: its transpose
    needs the sums and not a second pass over the weights (Dao et al. 2022, arXiv:2205.14135).
    """
    largest = jnp.max(scores, axis=-1, keepdims=True, initial=-jnp.inf)
    exponentials = jnp.exp(_below(scores, largest))
    out, total = _summed(dtype, exponentials, v, kept)
    total = jnp.where(total == 0, 1, total)
    return tuple(checkpoint_name(x, _SAVED) for x in (out / total, largest, jnp.log(total)))


def _summed(dtype: DTypeLike, exponentials: Array, v: Array, kept: Array | None) -> tuple[Array, Array]:
    """Values summed with those exponentials that are kept, and the sum of all of them."""
    if kept is not None:
        return summed_apart(dtype, jnp.where(kept, exponentials, 0), v)[0], jnp.sum(exponentials, -1, keepdims=True)
    return by_platform(exponentials, v, cpu=partial(summed_apart, dtype), elsewhere=partial(summed_together, dtype))


def summed_apart(dtype: DTypeLike, exponentials: Array, v: Array) -> tuple[Array, Array]:
    """Both sums, each by itself."""
    return context(exponentials, v, dtype=dtype), jnp.sum(exponentials, axis=-1, keepdims=True)


def summed_together(dtype: DTypeLike, exponentials: Array, v: Array) -> tuple[Array, Array]:
    """Both sums from one product, with a column of ones beside the values.

    A TPU so makes the exponentials once: attention to 2048 keys, forward, has 104,630 cycles by its compiler's estimate
    and 398,304 with the sums apart (libtpu 0.0.42.1).
    """
    both = context(exponentials, jnp.concatenate([v, jnp.ones_like(v[..., :1])], axis=-1), dtype=dtype)
    return both[..., :-1], both[..., -1:]


@sums.defjvp
def _sums_jvp(dtype: DTypeLike, primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> Any:
    (scores, v, kept), (slope, slope_of_v, _) = primals, tangents
    out, largest, log_total = sums(dtype, scores, v, kept)
    weights = _shares(scores, largest, log_total)
    moved = weights * slope
    mean = jnp.sum(moved, axis=-1, keepdims=True)
    by_scores = context(_of_kept(moved, kept), v, dtype=dtype) - mean * out
    by_values = context(_of_kept(weights, kept), slope_of_v, dtype=dtype)
    return (out, largest, log_total), (by_scores + by_values, jnp.zeros_like(largest), mean)


def _of_kept(x: Array, kept: Array | None) -> Array:
    return x if kept is None else jnp.where(kept, x, 0)


@jax.custom_jvp
def _shares(scores: Array, largest: Array, log_total: Array) -> Array:
    """The softmax of scores; the largest of them counts as a constant."""
    return jnp.exp(_below(scores, largest) - log_total)


@_shares.defjvp
def _shares_jvp(primals: tuple[Array, ...], tangents: tuple[Array, ...]) -> tuple[Array, Array]:
    weights, (slope, _, slope_of_log) = _shares(*primals), tangents
    return weights, weights * (slope - slope_of_log)


def _below(scores: Array, largest: Array) -> Array:
    """The scores less the largest; where that is inf, its entries are 0 and all others -inf, see `below_largest`."""
    limit = jnp.asarray(jnp.finfo(scores.dtype).max, scores.dtype)
    return jnp.minimum(scores - jnp.clip(largest, -limit, limit), 0) * jnp.where(largest == jnp.inf, limit, 1)


def _kept(key: Array, rate: Number, heads: Array, rows: Array, keys: int) -> Array:
    """Which weights dropout keeps, drawn for each head and query apart, so that blocks draw the same."""

    def drawn(head: Array, row: Array) -> Array:
        mine = jax.random.fold_in(jax.random.fold_in(key, head), row)
        return jax.random.bernoulli(mine, 1.0 - rate, (keys,))

    found = jax.vmap(jax.vmap(drawn, (None, 0)), (0, None))(heads.reshape(-1), rows.reshape(-1))
    return found.reshape(*heads.shape[:3], rows.shape[3], keys)


def weights(operands: Operands, options: Options) -> Array:
    """The softmax of scores over keys, `[n, g, r, t, s]`, in float32; rows without any key are 0."""
    return softmax(scores(operands, options), -1)


def scores(operands: Operands, options: Options) -> Array:
    """Scaled products and biases `[n, g, r, t, s]` in float32, -inf where a mask is False."""
    q, k = operands.q, operands.k
    (n, g, r, t, d), s = q.shape, k.shape[2]
    factors = widened(q).reshape(n * g, r * t, d), k.reshape(n * g, s, d)
    found = scaled(*factors, scale=options.scale, dtype=options.dtype).reshape(n, g, r, t, s)
    for bias in (operands.key_bias, operands.query_bias, operands.bias):
        found = found if bias is None else found + widened(bias)
    allowed = operands.mask
    if options.causal:
        before = operands.rows >= lax.broadcasted_iota(operands.rows.dtype, (1, 1, 1, t, s), 4)
        allowed = before if allowed is None else allowed & before
    return found if allowed is None else jnp.where(allowed, found, -jnp.inf)
