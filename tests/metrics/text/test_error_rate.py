import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.metrics.base import measure
from fjdl.metrics.state import amounts
from fjdl.metrics.state.counts import Count
from fjdl.metrics.text.bleu_scores import token_bleu
from fjdl.metrics.text.error_rate import character_error_rate, token_error_rate, word_error_rate


def test_words_and_characters_of_all_sentences_are_divided_once():
    hypotheses, references = ["the cat sat", "no"], ["the dog sat down", "no"]
    assert measure(word_error_rate(), hypotheses, references) == pytest.approx(2 / 5)
    assert measure(character_error_rate(), ["abc", ""], ["abd", "xy"]) == pytest.approx(3 / 5)
    metric = word_error_rate()
    parts = [metric.update(metric.init(), [h], [r]) for h, r in zip(hypotheses, references, strict=True)]
    assert metric.compute(metric.merge(*parts)) == pytest.approx(2 / 5)


def test_spaces_are_characters_and_no_words():
    assert measure(character_error_rate(), ["ab"], ["a b"]) == pytest.approx(1 / 3)
    assert measure(word_error_rate(), ["  a  b "], ["a b"]) == 0


def test_a_rate_may_exceed_one():
    assert measure(word_error_rate(), ["a b c"], ["x"]) == 3


def test_empty_references_add_edits_and_no_words():
    assert measure(word_error_rate(), ["a b", "c"], ["", "c"]) == 2
    assert measure(word_error_rate(), ["a b"], [""]) == np.inf
    assert np.isnan(measure(word_error_rate(), [""], [""]))
    assert np.isnan(measure(word_error_rate(), [], []))


def test_weights_leave_sentences_out():
    assert measure(word_error_rate(), ["a", "b"], ["x", "b"], weights=np.array([0, 1])) == 0
    hypotheses = references = np.array([[1, 2], [3, 4]])
    assert measure(token_error_rate(), hypotheses, references[::-1], weights=np.array([True, False])) == 1


def test_tokens_equal_words():
    tokens = np.array([[1, 2, 3, 0], [4, 0, 0, 0]]), np.array([[1, 5, 3, 6], [4, 0, 0, 0]])
    lengths = np.array([3, 1]), np.array([4, 1])
    assert measure(token_error_rate(), *tokens, *lengths) == pytest.approx(2 / 5)
    assert measure(token_error_rate(), *tokens) == pytest.approx(2 / 8)


def test_counts_beyond_int32_are_exact():
    metric = token_error_rate()
    state = metric.update(metric.init(), np.array([[1]]), np.array([[2]]))
    full = amounts.zero()._replace(counted=Count(jnp.uint32(0), jnp.uint32(2**32 - 1)))
    merged = metric.merge(state._replace(edits=full, symbols=full), state)
    assert (int(merged.edits.counted.high), int(merged.edits.counted.low)) == (1, 0)
    assert metric.compute(merged) == 1


@pytest.mark.parametrize(("hypotheses", "references"), [("a", ["a"]), (["a"], "a"), (["a"], []), (["a"], ["a", "b"])])
def test_unequal_numbers_of_sentences_are_refused(hypotheses, references):
    with pytest.raises(ValueError, match=r"^hypotheses and references must be sequences of as many strings each$"):
        measure(word_error_rate(), hypotheses, references)


def test_lengths_in_a_small_dtype_fit_long_sequences():
    long = np.zeros((1, 300), np.int32)
    assert measure(token_error_rate(), long, long, np.uint8([3]), np.uint8([4])) == 0.25
    assert measure(token_bleu(max_order=1), long, long, np.uint8([4]), np.uint8([4])) == pytest.approx(100)
