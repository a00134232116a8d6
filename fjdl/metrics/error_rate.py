"""Word and character error rates: edits per symbol of the references, over all sentences."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from fjdl.metrics import counts
from fjdl.metrics.base import Metric, Weights, counted
from fjdl.metrics.counts import Count
from fjdl.metrics.levenshtein import edit_distance, levenshtein_distance
from fjdl.numerics import safe_divide, signed
from fjdl.typing import Array, Integer, Scalar, typed


class Edits(NamedTuple):
    """Edits that turn the hypotheses into the references, and symbols in the references."""

    edits: Count
    symbols: Count


@typed
def word_error_rate() -> Metric:
    """Edits per word of the references, `Σ (insertions + deletions + substitutions) / Σ words`, which may exceed 1.

    `update(state, hypotheses, references, weights=None)` with as many strings in both, on the host; words are what
    `str.split()` gives, and case and punctuation count. Edits and words are counted over all sentences and divided
    once. An empty reference adds the words of its hypothesis to the edits and none to the words: with no words at all
    the rate is inf if there are edits, and else NaN.
    """
    return _of_strings(str.split)


@typed
def character_error_rate() -> Metric:
    """Edits per character of the references, spaces included, `Σ edits / Σ characters`, which may exceed 1.

    `update(state, hypotheses, references, weights=None)` with as many strings in both, on the host. A character is a
    Unicode code point. Everything else is as in `word_error_rate`.
    """
    return _of_strings(list)


@typed
def token_error_rate() -> Metric:
    """Edits per token of the references, `Σ edits / Σ tokens`, of padded integer sequences, compiled.

    `update(state, hypotheses, references, hypothesis_lengths=None, reference_lengths=None, weights=None)` with arrays
    `[*batch, m]` and `[*batch, n]`, as in `edit_distance`. Everything else is as in `word_error_rate`.
    """

    @typed
    def update(
        state: Edits,
        hypotheses: Integer[Array, "*batch m"],
        references: Integer[Array, "*batch n"],
        hypothesis_lengths: Integer[Array, "*batch"] | None = None,
        reference_lengths: Integer[Array, "*batch"] | None = None,
        weights: Weights = None,
    ) -> Edits:
        shape, longest = references.shape[:-1], references.shape[-1]
        lengths = (
            jnp.full(shape, longest) if reference_lengths is None else jnp.clip(signed(reference_lengths), 0, longest)
        )
        edits = edit_distance(hypotheses, references, hypothesis_lengths, reference_lengths)
        chosen = counted(weights, shape)
        return _merge(state, Edits(_total(edits, chosen), _total(lengths, chosen)))

    return Metric(_init, update, _merge, _compute)


def _of_strings(split: Callable[[str], list[str]]) -> Metric:
    @typed
    def update(state: Edits, hypotheses: Sequence[str], references: Sequence[str], weights: Weights = None) -> Edits:
        if isinstance(hypotheses, str) or isinstance(references, str) or len(hypotheses) != len(references):
            raise ValueError("hypotheses and references must be sequences of as many strings each")
        chosen = np.asarray(counted(weights, (len(references),)))
        pairs = [(split(h), split(r)) for h, r, keep in zip(hypotheses, references, chosen, strict=True) if keep]
        edits, symbols = sum(levenshtein_distance(h, r) for h, r in pairs), sum(len(r) for _, r in pairs)
        return _merge(state, Edits(counts.of(jnp.array(edits)), counts.of(jnp.array(symbols))))

    return Metric(_init, update, _merge, _compute)


def _init() -> Edits:
    return Edits(counts.zero(), counts.zero())


@typed
def _merge(a: Edits, b: Edits) -> Edits:
    return Edits(counts.add(a.edits, b.edits), counts.add(a.symbols, b.symbols))


@typed
def _compute(state: Edits) -> Scalar:
    edits, symbols = counts.to_float(state.edits), counts.to_float(state.symbols)
    return jnp.where((symbols == 0) & (edits > 0), jnp.inf, safe_divide(edits, symbols, otherwise=jnp.nan))


def _total(numbers: Integer[Array, "*batch"], chosen: Array) -> Count:
    return counts.of(jnp.sum(jnp.where(chosen, numbers, 0), dtype=jnp.uint32))
