"""BLEU against sacrebleu on random sentences, and edit distances against a plain dynamic program."""

import jax
import numpy as np
import pytest
import sacrebleu
from hypothesis import given, settings, strategies as st
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

from fjdl.metrics.base import measure
from fjdl.metrics.text.bleu_scores import corpus_bleu, sentence_bleu, token_bleu
from fjdl.metrics.text.levenshtein import edit_distance, levenshtein_distance
from fjdl.metrics.text.tokenize import tokenize_13a

pytestmark = pytest.mark.fuzz

many = settings(max_examples=1000, deadline=None, derandomize=True)
SACRE_13A = Tokenizer13a()

WORDS = [
    "a",
    "b",
    "A",
    "the",
    "3.5",
    "1,000",
    "x-y",
    "5-",
    "-",
    "...",
    ",",
    "don't",
    "&amp;",
    "&lt;",
    "$",
    "é",
    "(",
    '"',
]
sentences = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)
glued = st.lists(st.sampled_from([*WORDS, " ", "\n", "-\n", "<skipped>", "\t", "7", "."]), max_size=12).map("".join)
lines = st.one_of(sentences, glued, st.text(max_size=12))
methods = st.sampled_from(
    [("exp", None), ("floor", None), ("floor", 0.3), ("add-k", None), ("add-k", 0.5), ("none", None)]
)


def assert_equals_sacrebleu(ours, theirs):
    assert ours.score == pytest.approx(theirs.score, rel=1e-9, abs=1e-12)
    assert ours.precisions == pytest.approx(theirs.precisions, rel=1e-9, abs=1e-12)
    assert ours.brevity_penalty == pytest.approx(theirs.bp, rel=1e-12)
    assert (ours.hypothesis_length, ours.reference_length) == (theirs.sys_len, theirs.ref_len)


@many
@given(lines)
def test_words_are_those_of_sacrebleu(line):
    assert tokenize_13a(line) == SACRE_13A(line).split()


@many
@given(
    st.lists(st.tuples(lines, lines, st.one_of(st.none(), lines)), min_size=1, max_size=4),
    methods,
    st.booleans(),
    st.booleans(),
)
def test_corpus_bleu_equals_sacrebleu(rows, method, lowercase, effective):
    hypotheses, first, second = map(list, zip(*rows, strict=True))
    options = {"smooth_method": method[0], "smooth_value": method[1], "lowercase": lowercase}
    theirs = sacrebleu.corpus_bleu(hypotheses, [first, second], **options, use_effective_order=effective, force=True)
    assert_equals_sacrebleu(corpus_bleu(hypotheses, [first, second], **options, effective_order=effective), theirs)


@many
@given(lines, st.lists(lines, min_size=1, max_size=3), methods)
def test_sentence_bleu_equals_sacrebleu(hypothesis, references, method):
    options = {"smooth_method": method[0], "smooth_value": method[1]}
    theirs = sacrebleu.sentence_bleu(hypothesis, references, **options)
    assert_equals_sacrebleu(sentence_bleu(hypothesis, references, **options), theirs)


numbers = st.lists(st.integers(0, 3), max_size=7)
pairs = st.lists(st.tuples(numbers, numbers), min_size=3, max_size=3)
distance = jax.jit(edit_distance)
METRIC = token_bleu()
bleu_of_tokens = jax.jit(lambda *arrays: measure(METRIC, *arrays))


def padded(rows, length, filler):
    return np.array([row + [filler] * (length - len(row)) for row in rows]), np.array([len(row) for row in rows])


@many
@given(pairs, st.integers(0, 3))
def test_bleu_of_padded_tokens_equals_sacrebleu_of_words(rows, filler):
    hypotheses, references = (list(side) for side in zip(*rows, strict=True))
    (h, h_lengths), (r, r_lengths) = padded(hypotheses, 7, filler), padded(references, 7, filler)
    as_text = [[" ".join(map(str, row)) for row in side] for side in (hypotheses, references)]
    theirs = sacrebleu.corpus_bleu(as_text[0], [as_text[1]], tokenize="none", force=True)
    np.testing.assert_allclose(bleu_of_tokens(h, r, h_lengths, r_lengths), theirs.score, rtol=1e-5)


@many
@given(pairs, st.integers(0, 3))
def test_edit_distances_equal_a_plain_dynamic_program(rows, filler):
    first, second = (list(side) for side in zip(*rows, strict=True))
    (a, a_lengths), (b, b_lengths) = padded(first, 7, filler), padded(second, 9, filler)
    expected = [table(x, y)[-1][-1] for x, y in rows]
    np.testing.assert_array_equal(distance(a, b, a_lengths, b_lengths), expected)
    assert [levenshtein_distance(x, y) for x, y in rows] == expected


def table(a, b):
    """The whole table of Wagner & Fischer (1974)."""
    d = [[i + j if i * j == 0 else 0 for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i, x in enumerate(a, 1):
        for j, y in enumerate(b, 1):
            d[i][j] = min(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (x != y))
    return d
