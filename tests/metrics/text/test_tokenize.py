import pytest
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

from fjdl.metrics.text.tokenize import tokenize_13a

THEIRS = Tokenizer13a()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("Hello, world!", ["Hello", ",", "world", "!"]),
        ("It's 3.14 or 1,000.", ["It's", "3.14", "or", "1,000", "."]),
        ("well-known 5-star", ["well-known", "5", "-", "star"]),
        ("a,b .5 5.", ["a", ",", "b", ".", "5", "5", "."]),
        ("&quot;x&quot; &amp;lt; y", ['"', "x", '"', "<", "y"]),
        ("cut-\nting a\nline", ["cutting", "a", "line"]),
        ("<skipped>so", ["so"]),
        ("(a) [b] {c} $d%", ["(", "a", ")", "[", "b", "]", "{", "c", "}", "$", "d", "%"]),
        ("naïve 「日本」 \u00a0x", ["naïve", "「日本」", "x"]),
    ],
)
def test_words_by_the_rules_of_13a(line, words):
    assert tokenize_13a(line) == words == THEIRS(line).split()


@pytest.mark.parametrize("code", range(32, 127))
def test_every_ascii_mark_between_letters_digits_and_itself(code):
    c = chr(code)
    for line in (f"a{c}b", f"1{c}2", f"a{c}1", f"1{c}a", f"{c}{c}{c}", f" {c} "):
        assert tokenize_13a(line) == THEIRS(line).split()
