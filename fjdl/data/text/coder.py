"""Texts as numbers: a tokenizer and its vocabulary, and the data sets that carry both."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from fjdl.calls import received
from fjdl.data.source import Splits
from fjdl.data.text.tokenizers import Tokenizer
from fjdl.data.text.vocabulary import Vocabulary, as_json


@dataclass(frozen=True)
class Coder:
    """What makes numbers of a text and a text of numbers.

    >>> from fjdl.data.text import CHARACTERS, build_vocabulary
    >>> coder = Coder(CHARACTERS, build_vocabulary("hello world"))
    >>> coder.decode(coder.encode("well"))
    'well'
    """

    tokenizer: Tokenizer
    vocabulary: Vocabulary

    def encode(self, text: str) -> np.ndarray:
        """The numbers of the text's tokens, int32 `[t]`, without `<bos>` and `<eos>`.

        Raises `ValueError` for what is no string, and what `Vocabulary.encode` does.
        """
        if not isinstance(text, str):
            raise ValueError(f"text must be a string, got {received(text)}")
        return self.vocabulary.encode(self.tokenizer.split(text))

    def decode(self, ids: Iterable[int] | np.ndarray) -> str:
        """The text of the numbers; the special tokens for padding, beginning and end are left out of it."""
        silent = {*self.vocabulary.specials.given} - {self.vocabulary.specials.unk}
        return self.tokenizer.join([token for token in self.vocabulary.decode(ids) if token not in silent])

    def as_json(self) -> str:
        """What makes the numbers, as a file that can be read again: the vocabulary, as `save_vocabulary` writes it."""
        return as_json(self.vocabulary)


@dataclass(frozen=True, kw_only=True)
class TextSplits(Splits):
    """Splits of texts with what has made their numbers: `coders["tokens"]` has made the array `tokens`, and so on.

    Vocabularies are those of the training part alone. A text of language models has windows of a stream as examples,
    `{"tokens": int32 [t], "target": int32 [t], "length": int32}`; a text with a class is
    `{"tokens": int32 [t], "length": int32, "label": int32}`; a pair of texts is
    `{"source": int32 [s], "source_length": int32, "target": int32 [t], "target_length": int32}`, where the target has
    `<bos>` in front and `<eos>` at its end, and `target_length` counts both. What stands at or after a length is
    padding and means nothing.
    """

    coders: Mapping[str, Coder]

    def files(self) -> Mapping[str, str]:
        """The coder of each array, in the form in which a run keeps it."""
        return {f"{name}.json": coder.as_json() for name, coder in self.coders.items()}
