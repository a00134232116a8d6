"""Words of a sentence as metrics of translation count them, on the host."""

import re
import string

from fjdl.typing import typed

# Every ASCII mark stands alone but those that may be part of a word or a number.
_MARK = re.compile(f"([{re.escape(''.join(sorted(set(string.punctuation) - set(chr(39) + '.,-'))))}])")
_POINT_AFTER_NO_DIGIT = re.compile(r"([^0-9])([.,])")
_POINT_BEFORE_NO_DIGIT = re.compile(r"([.,])([^0-9])")
_DASH_AFTER_DIGIT = re.compile(r"([0-9])(-)")

_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))


@typed
def tokenize_13a(line: str) -> list[str]:
    """The words of a line by the rules of the script mteval-v13a of NIST, which the WMT evaluations use.

    ASCII punctuation stands alone, except that apostrophes stay, points and commas stay inside of numbers, and dashes
    stay unless a digit comes before. `<skipped>` goes, a dash at the end of a line joins it with the next, and four
    entities are decoded. Other scripts are split at white space only. Equals the "13a" tokenizer of sacrebleu.

    >>> tokenize_13a("Hello, world!")
    ['Hello', ',', 'world', '!']
    """
    line = line.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in _ENTITIES:
        line = line.replace(entity, character)
    line = _MARK.sub(r" \1 ", f" {line} ")
    line = _POINT_AFTER_NO_DIGIT.sub(r"\1 \2 ", line)
    line = _POINT_BEFORE_NO_DIGIT.sub(r" \1 \2", line)
    return _DASH_AFTER_DIGIT.sub(r"\1 \2 ", line).split()
