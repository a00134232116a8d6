"""Tokenizers, and byte pairs where the library that makes them is installed."""

import builtins
import re
from pathlib import Path

import pytest

from fjdl.data.text import (
    CHARACTERS,
    LINES,
    LOWERCASE_WORDS,
    NO_SPECIALS,
    WHITESPACE,
    WORDS,
    build_vocabulary,
    join_words,
    load_byte_pairs,
    save_byte_pairs,
    split_words,
    train_byte_pairs,
)
from fjdl.errors import DataError, UsageError

TEXTS = ["the cat sat on the mat.", "the cats sat on the mats!", "naïve cafés cost 5 €, 3 £"] * 3


def test_characters_come_back_exactly() -> None:
    for text in ("", " a\n\t b", "e\u0301🙂\r\n"):
        assert CHARACTERS.join(CHARACTERS.split(text)) == text
        assert len(CHARACTERS.split(text)) == len(text)


def test_whitespace_of_any_kind_separates() -> None:
    assert WHITESPACE.split(" a\t b\u00a0c\n") == ["a", "b", "c"]
    assert WHITESPACE.join(["a", "b"]) == "a b"
    assert WHITESPACE.split("") == []


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("How can I, Ann-Marie, do it?", ["How", "can", "I", ",", "Ann-Marie", ",", "do", "it", "?"]),
        ("l’été 3.5", ["l’été", "3", ".", "5"]),
        ("'quoted' -- x_1", ["'", "quoted", "'", "-", "-", "x_1"]),
        ("", []),
        (" \n", []),
    ],
)
def test_words_and_signs(text: str, tokens: list[str]) -> None:
    assert WORDS.split(text) == split_words(text) == tokens
    assert LOWERCASE_WORDS.split(text) == [token.lower() for token in tokens]
    assert re.sub(r"\s", "", text) == "".join(tokens)


def test_words_are_joined_as_people_write() -> None:
    assert join_words(["Well", ",", "(", "he", ")", "said", ":", "stop", "!"]) == "Well, (he) said: stop!"


def test_newlines_become_tokens_of_their_own() -> None:
    text = " \n = Title = \n \n Some words .\n"
    assert LINES.split(text) == ["<eos>", "=", "Title", "=", "<eos>", "<eos>", "Some", "words", ".", "<eos>"]
    assert LINES.join(LINES.split(text)) == "\n= Title =\n\nSome words .\n"


def test_without_the_library_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *args, **options):
        if name == "tokenizers":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(
        UsageError, match=r"byte-pair encoding needs the library tokenizers: pip install 'fjdl\[text\]'"
    ):
        train_byte_pairs(["a"], size=300)


def test_byte_pairs_give_every_text_back(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    coder = train_byte_pairs(TEXTS, size=300)
    vocabulary = coder.vocabulary
    assert vocabulary.tokens[:4] == ("<unk>", "<pad>", "<bos>", "<eos>")
    assert 260 < len(vocabulary) <= 300
    save_byte_pairs(tmp_path / "pairs.json", coder)
    again = load_byte_pairs(tmp_path / "pairs.json")
    assert again.vocabulary == vocabulary
    assert vocabulary == train_byte_pairs(TEXTS, size=300).vocabulary
    for text in (*TEXTS, "", " leading  and\ttrailing \n", "unseen: 漢字 🙂 <unk> <eos>", "\x00\x7f"):
        ids = coder.encode(text)
        assert coder.decode(ids) == text
        assert 0 not in ids
        assert again.encode(text).tolist() == ids.tolist()
    assert len(coder.encode("the cat")) < len("the cat") // 2 + 1


def test_byte_pairs_that_are_damaged_or_of_another_kind_are_refused(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    path = tmp_path / "pairs.json"
    save_byte_pairs(path, train_byte_pairs(TEXTS, size=256, specials=NO_SPECIALS))
    good = path.read_text()
    other = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0}, unk_token="a")).to_str()
    for content in (good[:100], "{}", other):
        path.write_text(content)
        with pytest.raises(DataError, match=r"pairs\.json must hold byte pairs as fjdl saves them, got "):
            load_byte_pairs(path, specials=NO_SPECIALS)
    path.write_text(good)
    with pytest.raises(DataError, match="tokens must hold the special ones, got none that is '<unk>'"):
        load_byte_pairs(path)
    assert load_byte_pairs(path, specials=NO_SPECIALS).encode("a").size == 1


@pytest.mark.parametrize(
    ("options", "rule"), [({"size": 259}, "size must be at least 260"), ({"minimum": 0}, "minimum")]
)
def test_wrong_options_of_byte_pairs_are_refused(options: dict[str, int], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        train_byte_pairs(["a"], **({"size": 300} | options))


def test_a_vocabulary_of_words_does_not_depend_on_the_order_of_equal_runs() -> None:
    assert build_vocabulary(WORDS.split(TEXTS[0])) == build_vocabulary(WORDS.split(TEXTS[0]))
