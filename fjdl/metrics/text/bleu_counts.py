"""What BLEU is made of: counts of n-grams and words, and the score of such counts."""

import math
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Literal, NamedTuple

import numpy as np

from fjdl.checks import at_least
from fjdl.metrics.text.ngrams import count_ngrams
from fjdl.typing import typed

Tokenize = Callable[[str], list[str]]
SmoothMethod = Literal["exp", "floor", "add-k", "none"]
Streams = Sequence[Sequence[str | None]]

_DEFAULT = {"exp": 0.0, "floor": 0.1, "add-k": 1.0, "none": 0.0}


class BleuCounts(NamedTuple):
    """N-grams that match and all n-grams of the hypotheses, one entry per order, and words on both sides."""

    matches: Any
    totals: Any
    hypothesis_length: Any
    reference_length: Any


class Smoothing(NamedTuple):
    """How orders without a match are treated, and the number that is put in."""

    method: SmoothMethod
    value: float

    @property
    def name(self) -> str:
        """The entry of a signature."""
        return f"{self.method}[{self.value:.2f}]" if self.method in ("floor", "add-k") else self.method


@typed
def smoothing_of(method: SmoothMethod, value: float | None) -> Smoothing:
    """The smoothing, with the number that sacrebleu takes where none is given."""
    if value is not None and method not in ("floor", "add-k"):
        raise ValueError(f'smooth_value belongs to smooth_method "floor" or "add-k", got "{method}"')
    if value is not None and not 0 <= value < math.inf:
        raise ValueError(f"smooth_value must lie in [0, inf), got {value}")
    return Smoothing(method, _DEFAULT[method] if value is None else value)


@typed
def no_counts(max_order: int) -> BleuCounts:
    """The counts of no sentence."""
    at_least(1, max_order=max_order)
    zero, zeros = np.zeros((), np.int64), np.zeros(max_order, np.int64)
    return BleuCounts(zeros, zeros, zero, zero)


@typed
def bleu_counts(
    hypotheses: Sequence[str], references: Streams, *, lowercase: bool, tokenize: Tokenize, max_order: int
) -> list[BleuCounts]:
    """The counts of each sentence, on the host; an n-gram matches as often as in that reference that has most of it."""
    if isinstance(hypotheses, str) or any(isinstance(stream, str) for stream in references):
        raise ValueError("hypotheses and every stream of references must be sequences of strings, got a string")
    if any(len(stream) != len(hypotheses) for stream in references):
        lengths = [len(stream) for stream in references]
        raise ValueError(f"every stream of references must have {len(hypotheses)} entries, got {lengths}")

    def words(line: str) -> list[str]:
        return tokenize((line.lower() if lowercase else line).rstrip())

    chosen = [[line for line in lines if line is not None] for lines in zip(*references, strict=True)]
    if len(chosen) != len(hypotheses) or not all(chosen):
        raise ValueError("every hypothesis must have a reference, got one without")
    return [
        _of_sentence(words(hypothesis), [words(line) for line in lines], max_order)
        for hypothesis, lines in zip(hypotheses, chosen, strict=True)
    ]


@typed
def bleu_score(
    xp: ModuleType, total: BleuCounts, *, smoothing: Smoothing, effective_order: bool
) -> tuple[Any, Any, Any]:
    """BLEU from 0 to 100, the precisions in percent and the brevity penalty of float counts, by `numpy` or its like."""
    matches, totals, penalty = total.matches, total.totals, _brevity_penalty(xp, *total[2:])
    any_match = xp.any(matches > 0)
    if smoothing.method == "add-k":
        later = xp.arange(len(matches)) > 0
        matches, totals = (xp.where(later, x + smoothing.value, x) for x in (matches, totals))
    precisions = _precisions(xp, matches, totals, smoothing)
    used = (totals > 0) | (not effective_order)
    logs = xp.where(used, xp.log(xp.where(precisions > 0, precisions, 1)), 0)
    orders = xp.maximum(xp.sum(used.astype(logs.dtype)), 1)
    reached = any_match & ~xp.any(used & (precisions == 0))
    score = xp.where(reached, 100 * penalty * xp.exp(xp.sum(logs) / orders), 0)
    return score, xp.where(any_match, 100 * precisions, 0), penalty


def _of_sentence(words: list[str], references: list[list[str]], max_order: int) -> BleuCounts:
    own = count_ngrams(words, max_order=max_order)
    most = count_ngrams([], max_order=max_order)
    for reference in references:
        most |= count_ngrams(reference, max_order=max_order)
    closest = min((len(reference) for reference in references), key=lambda r: (abs(r - len(words)), r))
    length = np.array(len(words))
    return BleuCounts(_by_order(own & most, max_order), _by_order(own, max_order), length, np.array(closest))


def _by_order(ngrams: Any, max_order: int) -> np.ndarray:
    orders = np.zeros(max_order, np.int64)
    for ngram, count in ngrams.items():
        orders[len(ngram) - 1] += count
    return orders


def _brevity_penalty(xp: ModuleType, hypothesis_length: Any, reference_length: Any) -> Any:
    """`exp(1 - r/c)` where the hypotheses are shorter, 0 where they are empty, else 1."""
    ratio = reference_length / xp.where(hypothesis_length == 0, 1, hypothesis_length)
    shorter = xp.where(hypothesis_length == 0, 0, xp.exp(xp.minimum(1 - ratio, 0)))
    return xp.where(hypothesis_length < reference_length, shorter, 1)


def _precisions(xp: ModuleType, matches: Any, totals: Any, smoothing: Smoothing) -> Any:
    missing = (matches == 0) & (totals > 0)
    if smoothing.method == "exp":
        matches = xp.where(missing, xp.exp2(-xp.cumsum(missing.astype(matches.dtype))), matches)
    if smoothing.method == "floor":
        matches = xp.where(missing, smoothing.value, matches)
    return matches / xp.where(totals == 0, 1, totals)
