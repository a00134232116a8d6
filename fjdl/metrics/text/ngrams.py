"""Clipped n-gram matches of hypotheses with their references, the counts that BLEU is made of."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp

from fjdl.checks import at_least
from fjdl.numerics import comparable, signed
from fjdl.typing import Array, Bool, Int, Integer, typed


@typed
def count_ngrams(words: Sequence[str], *, max_order: int) -> Counter[tuple[str, ...]]:
    """How often each n-gram of 1 to `max_order` words occurs, on the host."""
    return Counter(
        tuple(words[start : start + n]) for n in range(1, max_order + 1) for start in range(len(words) - n + 1)
    )


@typed
def ngram_matches(
    hypotheses: Integer[Array, "*batch m"],
    references: Integer[Array, "*batch n"],
    hypothesis_lengths: Integer[Array, "*batch"] | None = None,
    reference_lengths: Integer[Array, "*batch"] | None = None,
    *,
    max_order: int = 4,
) -> tuple[Int[Array, "*batch o"], Int[Array, "*batch o"]]:
    """Number of n-grams of each order 1 … `max_order` that match the reference, and of all in the hypothesis.

    An n-gram matches at most as often as it occurs in the reference (Papineni et al. 2002, §2.1). Only the first
    `hypothesis_lengths` and `reference_lengths` entries belong to the sequences, without lengths all of them.
    Works by comparing all pairs of positions, m (m + n) of them per order, without sorting.
    """
    at_least(1, max_order=max_order)
    inside = _inside(hypothesis_lengths, hypotheses.shape), _inside(reference_lengths, references.shape)
    return _matches(*comparable(hypotheses, references, "hypotheses", "references"), *inside, max_order)


@partial(jax.jit, static_argnums=4)
def _matches(
    hypotheses: Array, references: Array, in_hypotheses: Array, in_references: Array, max_order: int
) -> tuple[Int[Array, "*batch o"], Int[Array, "*batch o"]]:
    matched, total = [], []
    own = _equal(hypotheses, hypotheses, in_hypotheses, in_hypotheses)
    other = _equal(hypotheses, references, in_hypotheses, in_references)
    to_own, to_other = own, other
    for n in range(max_order):
        if n:
            to_own, to_other = to_own & _ahead(own, n), to_other & _ahead(other, n)
        matched.append(_clipped(to_own, to_other))
        total.append(jnp.sum(jnp.diagonal(to_own, axis1=-2, axis2=-1), axis=-1, dtype=jnp.int32))
    return jnp.stack(matched, axis=-1), jnp.stack(total, axis=-1)


def _clipped(to_own: Bool[Array, "*batch m m"], to_other: Bool[Array, "*batch m n"]) -> Int[Array, "*batch"]:
    """Positions whose n-gram has fewer equals before it than there are in the reference."""
    size = to_own.shape[-1]
    earlier = jnp.tril(jnp.ones((size, size), bool), -1).reshape([1] * (to_own.ndim - 2) + [size, size])
    before = jnp.sum(to_own & earlier, axis=-1, dtype=jnp.int32)
    return jnp.sum(before < jnp.sum(to_other, axis=-1, dtype=jnp.int32), axis=-1, dtype=jnp.int32)


def _equal(a: Array, b: Array, in_a: Array, in_b: Array) -> Bool[Array, "*batch m n"]:
    """Whether the entries of each pair of positions are inside and equal."""
    return (a[..., :, None] == b[..., None, :]) & in_a[..., :, None] & in_b[..., None, :]


def _ahead(equal: Bool[Array, "*batch m n"], n: int) -> Bool[Array, "*batch m n"]:
    """Entry `[i + n, j + n]` at `[i, j]`, and False beyond the ends."""
    rows, columns = min(n, equal.shape[-2]), min(n, equal.shape[-1])
    padding = [(0, 0)] * (equal.ndim - 2) + [(0, rows), (0, columns)]
    return jnp.pad(equal[..., rows:, columns:], padding)


def _inside(lengths: Integer[Array, "*batch"] | None, shape: tuple[int, ...]) -> Bool[Array, "*batch m"]:
    index = jax.lax.broadcasted_iota(jnp.int32, shape, len(shape) - 1)
    return jnp.ones(shape, bool) if lengths is None else index < signed(lengths).astype(jnp.int32)[..., None]
