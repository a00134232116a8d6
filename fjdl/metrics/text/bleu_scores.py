"""BLEU of a corpus and of a sentence (Papineni et al. 2002), from 0 to 100, with the definitions of sacrebleu.

Hypotheses and references are strings on the host, or padded token numbers under `jit`. Either gives the same counts,
which add up over batches and are divided once.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from fjdl.metrics.base import Metric, Weights, streaming, weight_of_each
from fjdl.metrics.state import amounts
from fjdl.metrics.text.bleu_counts import (
    BleuCounts,
    Smoothing,
    SmoothMethod,
    Streams,
    Tokenize,
    bleu_counts,
    bleu_score,
    no_counts,
    smoothing_of,
)
from fjdl.metrics.text.ngrams import ngram_matches
from fjdl.metrics.text.tokenize import tokenize_13a
from fjdl.numerics import signed
from fjdl.typing import Array, Integer, Scalar, typed


class BleuScore(NamedTuple):
    """BLEU from 0 to 100, what it is made of, and the settings it was computed with."""

    score: float
    precisions: tuple[float, ...]
    brevity_penalty: float
    hypothesis_length: int
    reference_length: int
    signature: str


@typed
def corpus_bleu(
    hypotheses: Sequence[str],
    references: Streams,
    *,
    smooth_method: SmoothMethod = "exp",
    smooth_value: float | None = None,
    lowercase: bool = False,
    tokenize: Tokenize = tokenize_13a,
    effective_order: bool = False,
    max_order: int = 4,
) -> BleuScore:
    """BLEU of a corpus, `100 · BP · exp(1/N Σ_n log p_n)` with `BP = exp(min(0, 1 - r/c))`, on the host in float64.

    `references` are streams, each with one reference per hypothesis, or None where it has no other. `p_n` is the
    fraction of n-grams that match; one that is 0 becomes 1 / (2ᵏ · total) for the k-th such order by "exp",
    `smooth_value` / total by "floor", by default 0.1, and stays 0 by "none"; "add-k" adds `smooth_value`, by default 1,
    to matches and totals from bigrams on (Chen & Cherry 2014). `effective_order` leaves out orders longer than every
    hypothesis, which else make the result 0. No match at all, as of empty hypotheses or none, gives 0.
    `r` is the sum of the lengths of the closest references, of two equally close the shorter.
    Equals `sacrebleu.corpus_bleu`, whose signature, less its version, is in the result.
    """
    smoothing = smoothing_of(smooth_method, smooth_value)
    each = bleu_counts(hypotheses, references, lowercase=lowercase, tokenize=tokenize, max_order=max_order)
    total = BleuCounts(*(np.sum(parts, axis=0) for parts in zip(no_counts(max_order), *each, strict=True)))
    as_floats = BleuCounts(*(np.asarray(x, np.float64) for x in total))
    score, precisions, penalty = bleu_score(np, as_floats, smoothing=smoothing, effective_order=effective_order)
    case, order = "lc" if lowercase else "mixed", "yes" if effective_order else "no"
    return BleuScore(
        float(score),
        tuple(float(p) for p in precisions),
        float(penalty),
        int(total.hypothesis_length),
        int(total.reference_length),
        f"nrefs:{_number_of(references)}|case:{case}|eff:{order}|tok:{_name_of(tokenize)}|smooth:{smoothing.name}",
    )


@typed
def sentence_bleu(
    hypothesis: str,
    references: Sequence[str],
    *,
    smooth_method: SmoothMethod = "exp",
    smooth_value: float | None = None,
    lowercase: bool = False,
    tokenize: Tokenize = tokenize_13a,
    effective_order: bool = True,
    max_order: int = 4,
) -> BleuScore:
    """BLEU of one sentence with one or more references: `corpus_bleu` of a corpus of one, with the effective order.

    Equals `sacrebleu.sentence_bleu`.
    """
    if isinstance(references, str):
        raise ValueError("references must be a sequence of strings, got one string")
    return corpus_bleu(
        [hypothesis],
        [[reference] for reference in references],
        smooth_method=smooth_method,
        smooth_value=smooth_value,
        lowercase=lowercase,
        tokenize=tokenize,
        effective_order=effective_order,
        max_order=max_order,
    )


@streaming("corpus_bleu(hypotheses, references)")
def bleu(
    *,
    smooth_method: SmoothMethod = "exp",
    smooth_value: float | None = None,
    lowercase: bool = False,
    tokenize: Tokenize = tokenize_13a,
    effective_order: bool = False,
    max_order: int = 4,
) -> Metric:
    """BLEU over batches of strings, 0 to 100: `corpus_bleu` of all of them at once, its last digits in float32.

    `update(state, hypotheses, references, weights=None)`, on the host, with the arguments of `corpus_bleu`.
    """

    @typed
    def update(
        state: BleuCounts, hypotheses: Sequence[str], references: Streams, weights: Weights = None
    ) -> BleuCounts:
        weight = np.asarray(weight_of_each(weights, (len(hypotheses),)))
        each = bleu_counts(hypotheses, references, lowercase=lowercase, tokenize=tokenize, max_order=max_order)
        kept = [no_counts(max_order), *[each[i] for i in np.flatnonzero(weight)]]
        of_each = jnp.concatenate([jnp.ones(1, weight.dtype), jnp.asarray(weight[weight != 0])])
        return _merge(
            state, BleuCounts(*[amounts.of(jnp.asarray(np.stack(x)), of_each) for x in zip(*kept, strict=True)])
        )

    return _metric(update, smoothing_of(smooth_method, smooth_value), effective_order, max_order)


@streaming("measure(token_bleu(), hypotheses, references)")
def token_bleu(
    *,
    smooth_method: SmoothMethod = "exp",
    smooth_value: float | None = None,
    effective_order: bool = False,
    max_order: int = 4,
) -> Metric:
    """BLEU over batches of padded token numbers with one reference each, 0 to 100, compiled.

    `update(state, hypotheses, references, hypothesis_lengths=None, reference_lengths=None, weights=None)` with arrays
    as in `ngram_matches`. Equals `bleu` where the tokens are the words.
    """

    @typed
    def update(
        state: BleuCounts,
        hypotheses: Integer[Array, "*batch m"],
        references: Integer[Array, "*batch n"],
        hypothesis_lengths: Integer[Array, "*batch"] | None = None,
        reference_lengths: Integer[Array, "*batch"] | None = None,
        weights: Weights = None,
    ) -> BleuCounts:
        shape = hypotheses.shape[:-1]
        lengths = _lengths(hypothesis_lengths, hypotheses.shape), _lengths(reference_lengths, references.shape)
        pair = ngram_matches(hypotheses, references, *lengths, max_order=max_order)
        each = weight_of_each(weights, shape).ravel()
        numbers = [x.reshape(each.shape[0], *x.shape[len(shape) :]) for x in (*pair, *lengths)]
        return _merge(state, BleuCounts(*[amounts.of(x, each) for x in numbers]))

    return _metric(update, smoothing_of(smooth_method, smooth_value), effective_order, max_order)


def _metric(update: Callable[..., BleuCounts], smoothing: Smoothing, effective_order: bool, max_order: int) -> Metric:
    def init() -> BleuCounts:
        return BleuCounts(*(amounts.zero(zeros.shape) for zeros in no_counts(max_order)))

    @typed
    def compute(state: BleuCounts) -> Scalar:
        total = BleuCounts(*map(amounts.to_float, state))
        return bleu_score(jnp, total, smoothing=smoothing, effective_order=effective_order)[0]

    no_counts(max_order)
    return Metric(init, update, _merge, compute)


@typed
def _merge(a: BleuCounts, b: BleuCounts) -> BleuCounts:
    return BleuCounts(*(amounts.add(x, y) for x, y in zip(a, b, strict=True)))


def _lengths(lengths: Array | None, shape: tuple[int, ...]) -> Array:
    return jnp.full(shape[:-1], shape[-1]) if lengths is None else jnp.clip(signed(lengths), 0, shape[-1])


def _number_of(references: Streams) -> str:
    """The number of references per hypothesis, or "var"."""
    numbers = {sum(line is not None for line in lines) for lines in zip(*references, strict=True)} or {len(references)}
    return str(numbers.pop()) if len(numbers) == 1 else "var"


def _name_of(tokenize: Tokenize) -> str:
    return "13a" if tokenize is tokenize_13a else getattr(tokenize, "__name__", "custom")
