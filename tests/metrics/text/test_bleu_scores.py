import jax.numpy as jnp
import numpy as np
import pytest
import sacrebleu

from fjdl.metrics.base import measure
from fjdl.metrics.state import amounts
from fjdl.metrics.state.counts import Count
from fjdl.metrics.text.bleu_scores import bleu, corpus_bleu, sentence_bleu, token_bleu

HYPOTHESES = ["The cat sat on the mat, didn't it?", "There is a dog; it's 3.5 m tall.", "Yes"]
REFERENCES = [
    ["The cat is sitting on the mat, isn't it?", "A dog is there, and it is 3.5 m tall.", "yes"],
    ["A cat sat on the mat.", "There is a dog, 3.5 m tall.", "Yes !"],
]
SMOOTHINGS = [("exp", None), ("floor", None), ("floor", 0.5), ("add-k", None), ("add-k", 0.1), ("none", None)]


@pytest.mark.parametrize("method", SMOOTHINGS)
@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("effective", [False, True])
def test_numbers_and_signature_equal_sacrebleu(method, lowercase, effective):
    options = {"smooth_method": method[0], "smooth_value": method[1], "lowercase": lowercase}
    theirs = sacrebleu.BLEU(**options, effective_order=effective)
    for hypotheses, references in [(HYPOTHESES, REFERENCES), (HYPOTHESES[:2], [REFERENCES[0][:2]])]:
        expected = theirs.corpus_score(hypotheses, references)
        actual = corpus_bleu(hypotheses, references, **options, effective_order=effective)
        assert actual.score == pytest.approx(expected.score, rel=1e-12)
        assert actual.precisions == pytest.approx(expected.precisions, rel=1e-12)
        assert actual.brevity_penalty == pytest.approx(expected.bp, rel=1e-12)
        assert actual.signature == str(theirs.get_signature()).partition("|version")[0]


@pytest.mark.parametrize("hypothesis", ["", "Yes", "a cat", *HYPOTHESES])
def test_a_sentence_equals_sacrebleu(hypothesis):
    references = [stream[0] for stream in REFERENCES]
    expected = sacrebleu.sentence_bleu(hypothesis, references)
    assert sentence_bleu(hypothesis, references).score == pytest.approx(expected.score, rel=1e-12)


def test_references_may_differ_in_number():
    streams = [REFERENCES[0], [None, "There is a dog.", None]]
    theirs = sacrebleu.BLEU()
    expected = theirs.corpus_score(HYPOTHESES, streams)
    actual = corpus_bleu(HYPOTHESES, streams)
    assert actual.score == pytest.approx(expected.score, rel=1e-12)
    assert actual.signature == str(theirs.get_signature()).partition("|version")[0]


def test_no_corpus_scores_nothing():
    assert corpus_bleu([], [[]]).score == 0
    assert np.asarray(bleu().compute(bleu().init())) == 0


def test_other_tokenizers_and_orders():
    theirs = sacrebleu.BLEU(tokenize="none", max_ngram_order=2).corpus_score(HYPOTHESES, REFERENCES)
    ours = corpus_bleu(HYPOTHESES, REFERENCES, tokenize=str.split, max_order=2)
    assert ours.score == pytest.approx(theirs.score, rel=1e-12)
    assert ours.signature == "nrefs:2|case:mixed|eff:no|tok:split|smooth:exp"


@pytest.mark.parametrize("method", SMOOTHINGS)
def test_batches_of_strings_give_the_score_of_the_corpus(method):
    metric = bleu(smooth_method=method[0], smooth_value=method[1])
    parts = [metric.update(metric.init(), HYPOTHESES[s], [r[s] for r in REFERENCES]) for s in (slice(1), slice(1, 3))]
    expected = corpus_bleu(HYPOTHESES, REFERENCES, smooth_method=method[0], smooth_value=method[1]).score
    assert metric.compute(metric.merge(*parts)) == pytest.approx(expected, rel=1e-5)


def test_weights_leave_sentences_out():
    weighted = measure(bleu(), HYPOTHESES, REFERENCES, weights=np.array([1, 1, 0]))
    expected = corpus_bleu(HYPOTHESES[:2], [stream[:2] for stream in REFERENCES]).score
    assert weighted == pytest.approx(expected, rel=1e-5)
    tokens = np.array([[1, 2, 3, 4], [5, 6, 7, 8]])
    assert measure(token_bleu(), tokens, np.array([[1, 2, 3, 4], [0, 0, 0, 0]]), weights=np.array([1, 0])) == 100


def test_tokens_equal_words_and_short_hypotheses_pay_the_brevity_penalty():
    hypotheses, references = np.array([[1, 2, 3, 4, 9], [5, 6, 7, 8, 9]]), np.array([[1, 2, 3, 4, 5], [5, 6, 7, 8, 9]])
    lengths = np.array([4, 5]), np.array([5, 5])
    expected = sacrebleu.corpus_bleu(["1 2 3 4", "5 6 7 8 9"], [["1 2 3 4 5", "5 6 7 8 9"]]).score
    assert measure(token_bleu(), hypotheses, references, *lengths) == pytest.approx(expected, rel=1e-6)
    assert expected == pytest.approx(100 * np.exp(1 - 10 / 9))


def test_counts_beyond_int32_are_exact():
    metric = token_bleu()
    state = metric.update(metric.init(), np.array([[1, 2, 3, 4]]), np.array([[1, 2, 3, 4]]))
    full = state._replace(
        hypothesis_length=amounts.zero()._replace(counted=Count(jnp.uint32(0), jnp.uint32(2**32 - 4)))
    )
    length = metric.merge(full, state).hypothesis_length.counted
    assert (int(length.high), int(length.low)) == (1, 0)


def test_one_string_is_no_sequence_of_references():
    with pytest.raises(ValueError, match=r"^references must be a sequence of strings, got one string$"):
        sentence_bleu("a", "a")
