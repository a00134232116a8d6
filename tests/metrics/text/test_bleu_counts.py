import numpy as np
import pytest

from fjdl.metrics.text.bleu_counts import bleu_counts, bleu_score, no_counts, smoothing_of

OPTIONS = {"lowercase": False, "tokenize": str.split, "max_order": 2}


def test_an_n_gram_matches_as_often_as_the_reference_that_has_most_of_it():
    (one,) = bleu_counts(["a a b"], [["a b b"], ["a a"]], **OPTIONS)
    np.testing.assert_array_equal(one.matches, [3, 2])
    np.testing.assert_array_equal(one.totals, [3, 2])


@pytest.mark.parametrize(("references", "closest"), [([4, 2], 2), ([1, 4], 4), ([9, 3], 3), ([6], 6)])
def test_the_closest_reference_counts_and_of_two_the_shorter(references, closest):
    (one,) = bleu_counts(["x x x"], [[" ".join("x" * n)] for n in references], **OPTIONS)
    assert one.reference_length == closest


def test_no_counts_have_no_score():
    empty = no_counts(4)
    zeros = type(empty)(*(x.astype(float) for x in empty))
    score, precisions, penalty = bleu_score(np, zeros, smoothing=smoothing_of("exp", None), effective_order=True)
    assert (score, penalty) == (0, 1)
    np.testing.assert_array_equal(precisions, np.zeros(4))


@pytest.mark.parametrize(
    ("hypotheses", "references", "sentence"),
    [
        ("a b", [["a"]], "hypotheses and every stream of references must be sequences of strings, got a string"),
        (["a"], ["a"], "hypotheses and every stream of references must be sequences of strings, got a string"),
        (["a", "b"], [["a", "b"], ["a"]], r"every stream of references must have 2 entries, got \[2, 1\]"),
        (["a", "b"], [["a", None]], "every hypothesis must have a reference, got one without"),
        (["a"], [], "every hypothesis must have a reference, got one without"),
    ],
)
def test_sentences_without_their_references_are_refused(hypotheses, references, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        bleu_counts(hypotheses, references, **OPTIONS)


def test_smoothing_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match=r'^smooth_value belongs to smooth_method "floor" or "add-k", got "exp"$'):
        smoothing_of("exp", 1.0)
    with pytest.raises(ValueError, match=r"^smooth_value must lie in \[0, inf\), got -1$"):
        smoothing_of("floor", -1)
    with pytest.raises(ValueError, match=r"^smoothing_of: argument `method` must be .*, got 'laplace'$"):
        smoothing_of("laplace", None)
    with pytest.raises(ValueError, match=r"^max_order must be at least 1, got 0$"):
        no_counts(0)
