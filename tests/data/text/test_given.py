"""Numbers and strings of the wrong kind are refused in one sentence, and none becomes another number."""

import re
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.data.text import (
    CHARACTERS,
    NO_SPECIALS,
    Coder,
    Specials,
    Vocabulary,
    WordVectors,
    build_vocabulary,
    cbow_windows,
    embedding_table,
    encode_texts,
    inverse_document_frequencies,
    next_token_windows,
    padded,
    read_csv,
    read_labelled_lines,
    read_parallel,
    read_tsv,
    skipgram_pairs,
    subsample,
    tf_idf,
    token_counts,
    train_byte_pairs,
)

V = build_vocabulary("abc", specials=Specials("<unk>", None, None, None))  # four tokens
EXACT = build_vocabulary("ab", specials=NO_SPECIALS)
CODER = Coder(CHARACTERS, V)
VECTORS = WordVectors(np.ones((2, 3), np.float32), np.ones(2, bool))
NOWHERE = Path("nowhere.tsv")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: padded([[1], [1.7, 2.2]]), "sequences[1] must be a vector of integers, got [1.7, 2.2]"),
        (lambda: padded([np.array([2**32 + 5])]), "sequences[0] must fit int32, got 4294967301"),
        (lambda: padded([[2**31]]), "sequences[0] must fit int32, got 2147483648"),
        (lambda: padded([np.uint64([2**63])]), "sequences[0] must fit int32, got 9223372036854775808"),
        (lambda: padded([[2**70]]), "sequences[0] must fit int32, got 1180591620717411303424"),
        (lambda: padded([[[1, 2], [3, 4]]]), "sequences[0] must be a vector of integers, got [[1, 2], [3, 4]]"),
        (lambda: padded([[[1], [2, 3]]]), "sequences[0] must be integers, got rows of different lengths"),
        (lambda: padded([["a"]]), "sequences[0] must be a vector of integers, got ['a']"),
        (lambda: padded([[None]]), "sequences[0] must be a vector of integers, got [None]"),
        (lambda: padded([1, 2]), "sequences[0] must be a vector of integers, got 1"),
        (lambda: padded([[1]], filler=2**31), "filler must fit int32, got 2147483648"),
        (lambda: next_token_windows(np.array([1, 2**32]), steps=1), "stream must fit int32, got 4294967296"),
        (lambda: next_token_windows(np.arange(3), steps=2, filler=2**31), "filler must fit int32, got 2147483648"),
        (lambda: skipgram_pairs(np.array([1, 2**32]), window=1, seed=0), "ids must fit int32, got 4294967296"),
        (lambda: cbow_windows(np.arange(3), window=1, seed=0, filler=2**31), "filler must fit int32, got 2147483648"),
        (lambda: token_counts(np.array([1, 9]), V), "ids must lie in [0, 4), got 1 to 9"),
        (lambda: token_counts(np.array([[-1, 3]]), V), "ids must lie in [0, 4), got -1 to 3"),
        (lambda: token_counts(np.array([1.0]), V), "ids must be integers, got float64[1]"),
        (lambda: subsample(np.array([0, 2]), np.ones(2), seed=0), "ids must lie in [0, 2), got 0 to 2"),
        (lambda: subsample(np.array([-1, 1]), np.ones(2), seed=0), "ids must lie in [0, 2), got -1 to 1"),
        (
            lambda: subsample(np.arange(2), np.float64(1), seed=0),
            "keep must have the chance of each word, got shape []",
        ),
        (lambda: embedding_table(VECTORS, filler=5), "filler must lie in [0, 2), got 5"),
        (lambda: embedding_table(VECTORS, filler=-1), "filler must lie in [0, 2), got -1"),
        (
            lambda: inverse_document_frequencies([np.array([0]), np.array([-1])], buckets=3),
            "texts[1] must lie in [0, 3), got -1 to -1",
        ),
        (lambda: tf_idf(np.array([0, 3]), np.ones(3)), "text must lie in [0, 3), got 0 to 3"),
        (lambda: V.decode([1.0]), "ids must be a vector of integers, got [1.0]"),
        (lambda: V.decode(np.zeros((2, 2), int)), "ids must be a vector of integers, got int64[2, 2]"),
        (lambda: V.decode(3), "ids must be a vector of integers, got 3"),  # type: ignore[arg-type]
        (lambda: V.encode([["a"]]), "tokens must be strings, got ['a']"),  # type: ignore[list-item]
        (lambda: V.encode([1]), "tokens must be strings, got 1"),  # type: ignore[list-item]
        (lambda: EXACT.encode(["a", None]), "tokens must be strings, got None"),  # type: ignore[list-item]
        (lambda: V.encode(None), "tokens must be strings, got None"),  # type: ignore[arg-type]
        (lambda: CODER.encode(None), "text must be a string, got None"),  # type: ignore[arg-type]
        (lambda: CODER.encode(b"ab"), "text must be a string, got b'ab'"),  # type: ignore[arg-type]
        (
            lambda: encode_texts(CODER, "ab"),
            "texts must be a sequence of strings, got one alone, 'ab': put it in a list",
        ),
        (lambda: encode_texts(CODER, None), "texts must be strings, got None"),  # type: ignore[arg-type]
        (
            lambda: train_byte_pairs("ab", size=300),
            "texts must be a sequence of strings, got one alone, 'ab': put it in a list",
        ),
        (lambda: build_vocabulary([1, 2]), "tokens must be strings, got 1"),  # type: ignore[list-item]
        (lambda: build_vocabulary([["a"]]), "tokens must be strings, got unhashable type: 'list'"),  # type: ignore[list-item]
        (lambda: build_vocabulary(None), "tokens must be strings, got None"),  # type: ignore[arg-type]
        (lambda: Vocabulary((1, 2), NO_SPECIALS), "tokens must be strings, got 1"),  # type: ignore[arg-type]
        (
            lambda: read_parallel(["a", "b"]),  # type: ignore[arg-type]
            "paths must give a path for each name, as {'en': path}, got ['a', 'b']",
        ),
        (
            lambda: read_tsv(NOWHERE, columns="text"),
            "columns must be a sequence of strings, got one alone, 'text': put it in a list",
        ),
        (
            lambda: read_csv(NOWHERE, names="ab"),
            "names must be a sequence of strings, got one alone, 'ab': put it in a list",
        ),
        (lambda: read_csv(NOWHERE, names=["a", "a"]), "names must be distinct, got 'a' twice"),
        (lambda: read_csv(NOWHERE, names=[]), "names must not be empty, got []"),
        (lambda: read_csv(NOWHERE, names=["a"], columns=["b"]), "columns must be among names, a, got 'b'"),
        (lambda: read_csv(NOWHERE, columns=[]), "columns must not be empty, got []"),
        (lambda: read_labelled_lines(NOWHERE, classes=["pos", "pos"]), "classes must be distinct, got 'pos' twice"),
        (
            lambda: read_labelled_lines(NOWHERE, classes="01"),
            "classes must be a sequence of strings, got one alone, '01': put it in a list",
        ),
    ],
)
def test_what_was_wrong_is_said_in_one_sentence(call, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        call()


def test_integers_of_every_dtype_and_container_are_taken() -> None:
    rows, lengths = padded([np.uint64([1, 2]), jnp.array([3]), [], (2**31 - 1, -(2**31))])
    assert rows.tolist() == [[1, 2], [3, 0], [0, 0], [2**31 - 1, -(2**31)]]
    assert (rows.dtype, lengths.tolist()) == (np.int32, [2, 1, 0, 2])
    assert padded([])[0].shape == (0, 0)
    assert token_counts(np.uint8([[1, 3], [3, 0]]), V).tolist() == [1, 1, 0, 2]
    assert token_counts(np.array([]), V).tolist() == [0, 0, 0, 0]
    assert V.decode(number for number in (1, 3)) == ["a", "c"]
    assert V.decode(jnp.array([2])) == ["b"]
    assert V.decode([]) == []
    assert V.encode(token for token in "ca").tolist() == [3, 1]
    assert subsample([0, 1, 1], np.array([0.0, 1.0]), seed=0).tolist() == [1, 1]  # type: ignore[arg-type]
