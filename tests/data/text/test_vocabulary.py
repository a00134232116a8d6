"""Vocabularies: order, cuts, unknown tokens, round trips and the file."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from fjdl.data.text import (
    CHARACTERS,
    NO_SPECIALS,
    WORDS,
    Coder,
    Specials,
    Vocabulary,
    build_vocabulary,
    load_vocabulary,
    save_vocabulary,
    token_counts,
)
from fjdl.errors import DataError, StorageError

WORD_ROW = ["b", "a", "c", "a", "b", "a", "d"]
UNK = Specials("<unk>", None, None, None)


def test_special_tokens_come_first_and_the_rest_by_count_and_first_appearance() -> None:
    vocabulary = build_vocabulary(WORD_ROW)
    assert vocabulary.tokens == ("<unk>", "<pad>", "<bos>", "<eos>", "a", "b", "c", "d")
    assert vocabulary.tokens[4:] == tuple(token for token, _ in Counter(WORD_ROW).most_common())
    assert (vocabulary.unk, vocabulary.pad, vocabulary.bos, vocabulary.eos, vocabulary.filler) == (0, 1, 2, 3, 1)
    assert build_vocabulary(["d", "c", "d", "c", "e"], ties="alphabet", specials=UNK).tokens == ("<unk>", "c", "d", "e")


def test_rare_tokens_and_those_beyond_the_size_are_unknown() -> None:
    assert build_vocabulary(WORD_ROW, minimum=2, specials=UNK).tokens == ("<unk>", "a", "b")
    assert build_vocabulary(WORD_ROW, size=2, specials=UNK).tokens == ("<unk>", "a")
    assert build_vocabulary(WORD_ROW, size=1, specials=UNK).encode(["a", "b"]).tolist() == [0, 0]
    assert build_vocabulary([]).tokens == ("<unk>", "<pad>", "<bos>", "<eos>")


def test_a_special_token_in_the_text_keeps_its_place() -> None:
    vocabulary = build_vocabulary(["<unk>", "a", "<unk>", "b"], minimum=1, specials=UNK)
    assert vocabulary.tokens == ("<unk>", "a", "b")
    assert token_counts(vocabulary.encode(["<unk>", "a", "<unk>", "x"]), vocabulary).tolist() == [3, 1, 0]


@pytest.mark.parametrize("text", ["", "naïve 🙂\n\ttabs", "e\u0301 and \u2028"])
def test_what_the_vocabulary_knows_comes_back_exactly(text: str) -> None:
    coder = Coder(CHARACTERS, build_vocabulary(text))
    ids = coder.encode(text)
    assert ids.dtype == np.int32
    assert coder.decode(ids) == text
    assert coder.vocabulary.decode(ids) == list(text)


def test_text_of_numbers_leaves_padding_and_ends_out_and_keeps_unknown_words() -> None:
    coder = Coder(WORDS, build_vocabulary(["well"]))
    assert coder.decode([2, 4, 0, 3, 1, 1]) == "well <unk>"


def test_unknown_tokens_without_a_token_for_them_are_refused() -> None:
    vocabulary = build_vocabulary("ab", specials=NO_SPECIALS)
    assert vocabulary.filler == 0
    assert vocabulary.encode("ba").tolist() == [1, 0]
    with pytest.raises(ValueError, match="tokens must be in the vocabulary, which has no <unk>, got 'c'"):
        vocabulary.encode("abc")
    for name in ("unk", "pad", "bos", "eos"):
        with pytest.raises(ValueError, match=f"the vocabulary must have a token for {name}"):
            getattr(vocabulary, name)


@pytest.mark.parametrize("number", [-1, 2])
def test_numbers_outside_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match=rf"ids must lie in \[0, 2\), got {number}"):
        build_vocabulary("ab", specials=NO_SPECIALS).decode(np.array([0, number]))


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: Vocabulary(("a", "b", "a"), NO_SPECIALS), "tokens must be distinct, got 'a' twice"),
        (lambda: Vocabulary(("a",), UNK), "tokens must hold the special ones, got none that is '<unk>'"),
        (lambda: Vocabulary(("a", "b"), Specials("a", "c", None, None)), "got none that is 'c'"),
        (lambda: build_vocabulary("a", minimum=0), "minimum must be at least 1, got 0"),
        (lambda: build_vocabulary("a", size=3), "size must be at least 4, got 3"),
        (lambda: build_vocabulary("a", ties="length"), "ties must be 'appearance' or 'alphabet'"),  # type: ignore[arg-type]
    ],
)
def test_wrong_vocabularies_are_refused(make, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        make()


def test_a_saved_vocabulary_is_the_same(tmp_path: Path) -> None:
    vocabulary = build_vocabulary(["\n", " ", "é", "\ud800", '"', "\\"], specials=UNK)
    save_vocabulary(tmp_path / "v.json", vocabulary)
    assert load_vocabulary(tmp_path / "v.json") == vocabulary
    assert [path.name for path in tmp_path.iterdir()] == ["v.json"]
    with pytest.raises(StorageError, match="cannot be written"):
        save_vocabulary(tmp_path / "no" / "v.json", vocabulary)


GOOD = {"format": "fjdl vocabulary 1", "specials": UNK._asdict(), "tokens": ["<unk>", "a"]}


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (json.dumps(GOOD)[:-1], "Expecting"),
        (json.dumps(GOOD | {"format": "2"}), "format must be 'fjdl vocabulary 1', got '2'"),
        (json.dumps(GOOD | {"tokens": ["a"]}), "tokens must hold the special ones"),
        (json.dumps(GOOD | {"tokens": ["<unk>", 3]}), "tokens must be a list of strings"),
        (json.dumps(GOOD | {"tokens": ["<unk>", "a", "a"]}), "tokens must be distinct"),
        (json.dumps(GOOD | {"specials": {"unk": 3}}), "specials must be strings or null"),
        (json.dumps(GOOD | {"specials": {"oov": "<unk>"}}), "oov"),
        (json.dumps({"format": "fjdl vocabulary 1"}), "KeyError: 'specials'"),
        ("[" * 100_000, "RecursionError"),
        ("3", "TypeError"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: str, rule: str) -> None:
    path = tmp_path / "v.json"
    path.write_text(content)
    with pytest.raises(DataError, match=rf"v\.json must be a vocabulary as fjdl saves it, got .*{rule}"):
        load_vocabulary(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"v\.json must be a file, got a path that does not exist"):
        load_vocabulary(tmp_path / "v.json")
