"""Tokenizers: pure functions that cut a text into tokens, each with the function that joins them again."""

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

_WORD = re.compile(r"\w+(?:['’\-]\w+)*|[^\w\s]")
_BEFORE = re.compile(r" ([.,;:!?%)\]}…])")  # stands close to the word before it
_AFTER = re.compile(r"([(\[{]) ")


class Tokenizer(NamedTuple):
    """`split` cuts a text into tokens and `join` makes a text of tokens."""

    split: Callable[[str], list[str]]
    join: Callable[[Sequence[str]], str]


def split_characters(text: str) -> list[str]:
    """Each code point of Unicode, white space and newlines included; `"".join` gives the text back exactly."""
    return list(text)


def join_characters(tokens: Sequence[str]) -> str:
    """The tokens without anything between them."""
    return "".join(tokens)


def split_whitespace(text: str) -> list[str]:
    """What stands between white space of any kind; for texts that are cut into tokens already."""
    return text.split()


def join_whitespace(tokens: Sequence[str]) -> str:
    """The tokens with one space between them."""
    return " ".join(tokens)


def split_words(text: str) -> list[str]:
    """Words, numbers and single signs: letters, digits and underscores with `'`, `’` or `-` inside are one token.

    Case stays, white space is left out. An accent that is a code point of its own is a sign; normalize texts first.

    >>> split_words("Don't stop: it's 9 o'clock!")
    ["Don't", 'stop', ':', "it's", '9', "o'clock", '!']
    """
    return _WORD.findall(text)


def split_lowercase_words(text: str) -> list[str]:
    """The tokens of `split_words` of the text in lower case."""
    return split_words(text.lower())


def join_words(tokens: Sequence[str]) -> str:
    """The tokens with spaces between them, none before `.,;:!?%)]}…` and none after `([{`.

    >>> join_words(["Stop", "(", "now", ")", "!"])
    'Stop (now)!'
    """
    return _AFTER.sub(r"\1", _BEFORE.sub(r"\1", " ".join(tokens)))


def split_lines(text: str) -> list[str]:
    """What stands between white space, with `<eos>` for each newline, as language models of WikiText read it."""
    return text.replace("\n", " <eos> ").split()


def join_lines(tokens: Sequence[str]) -> str:
    """The tokens with spaces between them and a newline for each `<eos>`."""
    return re.sub(r" ?<eos> ?", "\n", " ".join(tokens))


CHARACTERS = Tokenizer(split_characters, join_characters)
WHITESPACE = Tokenizer(split_whitespace, join_whitespace)
WORDS = Tokenizer(split_words, join_words)
LOWERCASE_WORDS = Tokenizer(split_lowercase_words, join_words)
LINES = Tokenizer(split_lines, join_lines)
