"""Levenshtein distances of padded integer sequences, compiled, and of any sequences, on the host."""

from collections.abc import Hashable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.meshes import scan
from fjdl.numerics import comparable, signed
from fjdl.typing import Array, Int, Integer, typed


@typed
def edit_distance(
    a: Integer[Array, "*batch m"],
    b: Integer[Array, "*batch n"],
    a_lengths: Integer[Array, "*batch"] | None = None,
    b_lengths: Integer[Array, "*batch"] | None = None,
) -> Int[Array, "*batch"]:
    """Least number of insertions, deletions and substitutions that turn `a` into `b`, one per pair (Levenshtein 1966).

    Only the first `a_lengths` and `b_lengths` entries belong to the sequences, without lengths all of them; lengths are
    clipped to [0, m] and [0, n]. The m + n diagonals of the table follow one another, each at once, with memory for
    three of them. Equals `levenshtein_distance` of each pair.
    """
    if a.shape[-1] > b.shape[-1]:
        a, b, a_lengths, b_lengths = b, a, b_lengths, a_lengths
    rows, columns = _lengths(a_lengths, a.shape), _lengths(b_lengths, b.shape)
    return _along_diagonals(*comparable(a, b, "a", "b"), rows, columns)


@typed
def levenshtein_distance(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """Least number of insertions, deletions and substitutions that turn `a` into `b`, on the host (Levenshtein 1966).

    Strings are sequences of characters; words are compared by passing lists of them. Symbols are equal as in a `dict`.

    >>> levenshtein_distance("kitten", "sitting")
    3
    """
    numbers: dict[Hashable, int] = {}
    first, second = (np.array([numbers.setdefault(x, len(numbers)) for x in symbols], int) for symbols in (a, b))
    columns = np.arange(len(second) + 1)
    row = columns
    for i, symbol in enumerate(first):
        before = np.minimum(row[1:] + 1, row[:-1] + (second != symbol))
        row = columns + np.minimum.accumulate(np.concatenate([[i + 1], before]) - columns)
    return int(row[-1])


@jax.jit
def _along_diagonals(
    a: Integer[Array, "*batch m"], b: Integer[Array, "*batch n"], rows: Int[Array, "*batch"], columns: Int[Array, "..."]
) -> Int[Array, "*batch"]:
    """Entry `[rows, columns]` of the table; entry i of diagonal d is that of the first i of `a` and d - i of `b`."""
    batch, m, n = a.shape[:-1], a.shape[-1], b.shape[-1]
    index = jnp.broadcast_to(jnp.arange(m + 1, dtype=jnp.int32), (*batch, m + 1))
    wanted = (rows + columns)[..., None]

    def step(carry: tuple[Array, ...], entry: tuple[Array, Array]) -> tuple[tuple[Array, ...], None]:
        before, last, window, kept = carry
        number, symbol = entry
        window = jnp.concatenate([symbol[..., None], window], axis=-1)[..., :m]
        one_changed = jnp.minimum(last[..., :-1], last[..., 1:]) + 1
        inner = jnp.minimum(one_changed, before[..., :-1] + (a != window).astype(jnp.int32))
        diagonal = jnp.concatenate([jnp.full((*batch, 1), number), inner], axis=-1)
        diagonal = jnp.where(index == number, number, diagonal)
        return (last, diagonal, window, jnp.where(wanted == number, diagonal, kept)), None

    start = jnp.zeros((*batch, m + 1), jnp.int32)
    symbols = jnp.pad(b, [(0, 0)] * len(batch) + [(1, m)])[..., : m + n]
    entries = jnp.arange(1, m + n + 1, dtype=jnp.int32), jnp.moveaxis(symbols, -1, 0)
    (_, _, _, kept), _ = scan(step, (start, start, jnp.zeros_like(a), start), entries)
    return jnp.sum(jnp.where(index == rows[..., None], kept, 0), axis=-1, dtype=jnp.int32)


def _lengths(lengths: Integer[Array, "*batch"] | None, shape: tuple[int, ...]) -> Int[Array, "*batch"]:
    if lengths is None:
        return jnp.full(shape[:-1], shape[-1], jnp.int32)
    return jnp.clip(signed(lengths), 0, shape[-1]).astype(jnp.int32)
