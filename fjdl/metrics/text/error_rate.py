"""Word and character error rates: edits per symbol of the references, over all sentences."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from fjdl.metrics.base import Metric, Weights, streaming, weight_of_each
from fjdl.metrics.state import amounts
from fjdl.metrics.state.amounts import Amount
from fjdl.metrics.text.levenshtein import edit_distance, levenshtein_distance
from fjdl.numerics import safe_divide, signed
from fjdl.typing import Array, Integer, Scalar, typed


class Edits(NamedTuple):
    """Edits that turn the hypotheses into the references, and symbols in the references."""

    edits: Amount
    symbols: Amount


@streaming("measure(word_error_rate(), hypotheses, references)")
def word_error_rate() -> Metric:
    """Edits per word of the references, `Σ (insertions + deletions + substitutions) / Σ words`, which may exceed 1.

    `update(state, hypotheses, references, weights=None)` with as many strings in both, on the host; words are what
    `str.split()` gives, and case and punctuation count. Edits and words are counted over all sentences and divided
    once. An empty reference adds the words of its hypothesis to the edits and none to the words: with no words at all
    the rate is inf if there are edits, and else NaN.
    """
    return _of_strings(str.split)


@streaming("measure(character_error_rate(), hypotheses, references)")
def character_error_rate() -> Metric:
    """Edits per character of the references, spaces included, `Σ edits / Σ characters`, which may exceed 1.

    `update(state, hypotheses, references, weights=None)` with as many strings in both, on the host. A character is a
    Unicode code point. Everything else is as in `word_error_rate`.
    """
    return _of_strings(list)


@streaming("measure(token_error_rate(), hypotheses, references)")
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
        each = weight_of_each(weights, shape).ravel()
        return _merge(state, Edits(amounts.of(edits.ravel(), each), amounts.of(lengths.ravel(), each)))

    return Metric(_init, update, _merge, _compute)


def _of_strings(split: Callable[[str], list[str]]) -> Metric:
    @typed
    def update(state: Edits, hypotheses: Sequence[str], references: Sequence[str], weights: Weights = None) -> Edits:
        if isinstance(hypotheses, str) or isinstance(references, str) or len(hypotheses) != len(references):
            raise ValueError("hypotheses and references must be sequences of as many strings each")
        each = np.asarray(weight_of_each(weights, (len(references),)))
        kept = [(split(h), split(r)) for h, r, weight in zip(hypotheses, references, each, strict=True) if weight]
        edits = jnp.array([levenshtein_distance(h, r) for h, r in kept], jnp.int32)
        symbols = jnp.array([len(r) for _, r in kept], jnp.int32)
        counting = jnp.asarray(each[each != 0])
        return _merge(state, Edits(amounts.of(edits, counting), amounts.of(symbols, counting)))

    return Metric(_init, update, _merge, _compute)


def _init() -> Edits:
    return Edits(amounts.zero(), amounts.zero())


@typed
def _merge(a: Edits, b: Edits) -> Edits:
    return Edits(amounts.add(a.edits, b.edits), amounts.add(a.symbols, b.symbols))


@typed
def _compute(state: Edits) -> Scalar:
    edits, symbols = amounts.to_float(state.edits), amounts.to_float(state.symbols)
    return jnp.where((symbols == 0) & (edits > 0), jnp.inf, safe_divide(edits, symbols, otherwise=jnp.nan))
