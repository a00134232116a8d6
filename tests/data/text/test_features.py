"""Features of texts and their weights, against scikit-learn's vectorizers and published check values."""

import numpy as np
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

from fjdl.data.text import (
    character_ngrams,
    hash_features,
    inverse_document_frequencies,
    mark_negation,
    tf_idf,
    word_ngrams,
)

WORDS = ["a", "film", "that", "is", "not", "n't", "odd", "at", "all"]


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("", ""),
        ("a good film", "a good film"),
        ("not", "not"),
        ("not good , good", "not good neg_good , good"),
        ("never not good", "never not neg_not good neg_good"),
        ("nothing , but no fun . fun", "nothing , but no fun neg_fun . fun"),
        (". not . good", ". not . good"),
    ],
)
def test_words_are_marked_from_a_negation_to_the_end_of_its_clause(text: str, marked: str) -> None:
    assert mark_negation(text.split()) == marked.split()


@pytest.mark.parametrize(("smallest", "largest"), [(1, 1), (1, 3), (2, 6), (4, 5), (9, 9)])
def test_ngrams_of_characters_are_those_of_scikit_learn(smallest: int, largest: int) -> None:
    analyze = CountVectorizer(analyzer="char_wb", ngram_range=(smallest, largest)).build_analyzer()
    for word in (*WORDS, "é", "unbelievable"):
        assert character_ngrams(word, smallest=smallest, largest=largest) == analyze(word)


@pytest.mark.parametrize("largest", [1, 2, 3, 20])
def test_ngrams_of_words_are_those_of_scikit_learn(largest: int) -> None:
    analyze = CountVectorizer(token_pattern=r"\S+", ngram_range=(1, largest)).build_analyzer()
    assert word_ngrams(WORDS, largest=largest) == analyze(" ".join(WORDS))
    assert word_ngrams([], largest=largest) == []


def test_the_number_of_a_feature_is_its_crc_32_in_utf_8() -> None:
    check = {"123456789": 0xCBF43926, "": 0, "a": 0xE8B7BE43, "é": 0x0E048D3E}  # the first is the catalogue's
    for buckets in (1, 7, 2**31 - 1):
        found = hash_features(check, buckets=buckets)
        assert found.dtype == np.int32
        assert found.tolist() == [value % buckets for value in check.values()]
    assert hash_features([], buckets=3).shape == (0,)


@pytest.mark.parametrize("minimum", [1, 2])
def test_weights_are_those_of_scikit_learn(minimum: int) -> None:
    rng = np.random.default_rng(0)
    texts = [rng.integers(0, 9, size) for size in (0, 1, 4, 30, 7)]
    counts = np.stack([np.bincount(text, minlength=12) for text in texts])
    kept = np.flatnonzero((counts > 0).sum(0) >= minimum)
    oracle = TfidfTransformer(sublinear_tf=True).fit(counts[:, kept])
    idf = inverse_document_frequencies(texts, buckets=12, minimum=minimum)
    assert idf.dtype == np.float32
    np.testing.assert_allclose(idf[kept], oracle.idf_, rtol=1e-6)
    assert np.count_nonzero(idf) == len(kept) < 12
    unseen = np.array([3, 3, 11, 3, 0])
    expected = oracle.transform(np.stack([*counts, np.bincount(unseen, minlength=12)])[:, kept]).toarray()
    for text, row in zip([*texts, unseen], expected, strict=True):
        ids, weights = tf_idf(text, idf)
        assert (ids.dtype, weights.dtype) == (np.int32, np.float32)
        np.testing.assert_array_equal(ids, kept[np.flatnonzero(row)])
        np.testing.assert_allclose(weights, row[row > 0], rtol=1e-6)


def test_what_no_text_of_the_training_part_holds_weighs_nothing() -> None:
    idf = inverse_document_frequencies([], buckets=3)
    assert idf.tolist() == [0, 0, 0]
    assert [part.size for part in tf_idf(np.array([0, 2]), idf)] == [0, 0]


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: word_ngrams(WORDS, largest=0), "largest must be at least 1, got 0"),
        (lambda: character_ngrams("a", smallest=0), "smallest must be at least 1, got 0"),
        (lambda: character_ngrams("a", smallest=3, largest=2), "largest must be at least 3, got 2"),
        (lambda: hash_features(["a"], buckets=0), "buckets must be at least 1, got 0"),
        (lambda: hash_features(["a"], buckets=2**31), r"buckets must be less than 2\*\*31, got 2147483648"),
        (lambda: inverse_document_frequencies([], buckets=2, minimum=0), "minimum must be at least 1, got 0"),
    ],
)
def test_options_outside_their_range_are_refused(call, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        call()
