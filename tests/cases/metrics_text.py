"""Rows of fjdl.metrics for text, of what is compiled; functions of strings have tests of their own."""

from functools import partial
from typing import Any

import numpy as np
import sacrebleu
import torch

from fjdl.metrics.base import measure
from fjdl.metrics.text import bleu_scores, error_rate, levenshtein, ngrams, surprisal
from tests.cases.case import Case, f32, i32, inputs, labels, normal, of_torch

NAN, INF = np.nan, np.inf
PAIRS = (labels(3, 4, classes=3), labels(3, 6, classes=3))
LENGTHS = (lambda rng: rng.integers(0, 5, 3).astype(np.int32), lambda rng: rng.integers(1, 7, 3).astype(np.int32))


def cross_entropy(reduction: str) -> Any:
    return of_torch(lambda x, y: torch.nn.functional.cross_entropy(x, y, reduction=reduction))


def sentences(rows: Any, lengths: Any) -> list[list[int]]:
    return [row[:length].tolist() for row, length in zip(rows, lengths, strict=True)]


def distance(a: list[int], b: list[int]) -> int:
    """The recursive definition."""
    if not a or not b:
        return len(a) + len(b)
    return min(distance(a[1:], b) + 1, distance(a, b[1:]) + 1, distance(a[1:], b[1:]) + (a[0] != b[0]))


def distances(a: Any, b: Any, a_lengths: Any, b_lengths: Any) -> Any:
    rows = zip(sentences(a, a_lengths), sentences(b, b_lengths), strict=True)
    return np.array([distance(x, y) for x, y in rows])


def error_rate_of(*arrays: Any) -> Any:
    return distances(*arrays).sum() / np.sum(np.asarray(arrays[3]))


def scores_of_sacrebleu(*arrays: Any) -> list[Any]:
    texts = [[" ".join(map(str, row)) for row in sentences(*side)] for side in (arrays[::2], arrays[1::2])]
    return [sacrebleu.sentence_bleu(h, [r], tokenize="none") for h, r in zip(*texts, strict=True)]


def matches_of_sacrebleu(*arrays: Any) -> Any:
    each = scores_of_sacrebleu(*arrays)
    return np.array([score.counts for score in each]), np.array([score.totals for score in each])


def bigram_bleu_of_sacrebleu(*arrays: Any) -> Any:
    texts = [[" ".join(map(str, row)) for row in sentences(*side)] for side in (arrays[::2], arrays[1::2])]
    metric = sacrebleu.BLEU(tokenize="none", max_ngram_order=2, smooth_method="floor", force=True)
    return metric.corpus_score(texts[0], [texts[1]]).score


CASES: list[Case] = [
    Case(
        surprisal.token_surprisal, inputs(normal(4, 5), labels(4, classes=5)), (0,), "float32",
        oracle=cross_entropy("none"),
        edges=(
            ((f32([0, 0], [0, 0]), i32(2, -1)), f32(NAN, NAN)), ((f32([0, -INF], [INF, 0]), i32(0, 0)), f32(0, 0)),
            ((f32([0, -INF], [INF, 0]), i32(1, 1)), f32(INF, INF)), ((f32([-INF, -INF]), i32(0)), f32(NAN)),
            ((f32([-1e4, 1e4]), np.uint8([0])), f32(2e4)),
        ),
    ),
    Case(
        partial(measure, surprisal.perplexity()), inputs(normal(2, 4, 5), labels(2, 4, classes=5)), result="float32",
        label="perplexity", oracle=lambda x, y: np.exp(cross_entropy("mean")(x.reshape(-1, 5), y.reshape(-1))),
        edges=(
            ((np.zeros((0, 3), np.float32), i32()), NAN), ((np.zeros((2, 7), np.float32), i32(0, 6)), 7),
            ((f32([0, -INF]), i32(1)), INF), ((f32([0, -INF]), i32(0)), 1), ((f32([0, 0]), i32(2)), NAN),
        ),
    ),
    Case(
        levenshtein.edit_distance, inputs(*PAIRS, *LENGTHS), result=None, oracle=distances,
        edges=(
            ((i32(), i32()), 0), ((i32(), i32(1, 2)), 2), ((i32(1, 2, 3), i32(1, 3)), 1),
            ((i32(1, 2, 3), np.uint8([3, 2, 1])), 2), ((i32(1, 2), i32(3), i32(-5)[0], i32(9)[0]), 1),
        ),
    ),
    Case(
        partial(measure, error_rate.token_error_rate()), inputs(*PAIRS, *LENGTHS), result=None,
        label="token_error_rate", oracle=error_rate_of,
        edges=(((i32([1]), i32([2]), i32(1), i32(0)), INF), ((i32([1]), i32([2]), i32(0), i32(0)), NAN)),
    ),
    Case(
        ngrams.ngram_matches, inputs(*PAIRS, *LENGTHS), result=None, oracle=matches_of_sacrebleu,
        edges=(
            ((i32(7, 7, 7), i32(7, 7)), (i32(2, 1, 0, 0), i32(3, 2, 1, 0))), ((i32(), i32(1)), (i32(0, 0, 0, 0),) * 2),
            ((i32(1, 2, 3), i32()), (i32(0, 0, 0, 0), i32(3, 2, 1, 0))),
        ),
    ),
    Case(
        partial(measure, bleu_scores.token_bleu(max_order=2, smooth_method="floor")),
        inputs(*PAIRS, *LENGTHS), result=None,
        label="token_bleu", oracle=bigram_bleu_of_sacrebleu,
        edges=(((i32([1, 2]), i32([1, 2])), 100), ((i32([1, 2]), i32([3, 4])), 0)),
    ),
]  # fmt: skip
