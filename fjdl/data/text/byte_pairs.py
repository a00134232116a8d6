"""Byte-pair encoding through the `tokenizers` library, which the extra `text` installs."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from fjdl.checks import at_least
from fjdl.data.text.coder import Coder
from fjdl.data.text.given import not_one
from fjdl.data.text.lines import read_text
from fjdl.data.text.tokenizers import Tokenizer
from fjdl.data.text.vocabulary import SPECIALS, Specials, Vocabulary
from fjdl.errors import DataFormatError, UsageError
from fjdl.files import write_atomically

LARGEST = 2**28  # bytes of a saved tokenizer


class BytePairs(Coder):
    """A coder of byte pairs, which `save_byte_pairs` writes; `model` is the `tokenizers.Tokenizer` behind it."""

    model: Any

    def __init__(self, model: Any, specials: Specials) -> None:
        model.encode_special_tokens = True  # a text that spells one is made of its bytes
        tokens = sorted(model.get_vocab(with_added_tokens=True).items(), key=lambda pair: pair[1])
        tokenizer = Tokenizer(lambda text: model.encode(text, add_special_tokens=False).tokens, model.decoder.decode)
        super().__init__(tokenizer, Vocabulary(tuple(token for token, _ in tokens), specials))
        object.__setattr__(self, "model", model)

    def as_json(self) -> str:
        """What `save_byte_pairs` writes."""
        return f"{self.model.to_str(pretty=True)}\n"


def train_byte_pairs(texts: Iterable[str], *, size: int, minimum: int = 2, specials: Specials = SPECIALS) -> BytePairs:
    """A coder of at most `size` tokens: the special ones, the 256 bytes, and the pairs that are merged most often.

    Texts are cut into words before, with the space in front of them, and each byte of UTF-8 is a token, so every text
    comes back exactly and none has an unknown part; a text that spells a special token gives its parts. A pair below
    `minimum` occurrences is not merged. Give it the training part alone. Sennrich et al. 2016, arXiv:1508.07909, on
    bytes as Radford et al. 2019. Raises `UsageError` without the `tokenizers` library, and `ValueError` for a `size`
    that does not hold the bytes and the special tokens.
    """
    at_least(256 + len(specials.given), size=size)
    at_least(1, minimum=minimum)
    texts = not_one("texts", texts)
    library = _library()
    model = library.Tokenizer(library.models.BPE())
    model.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    model.decoder = library.decoders.ByteLevel()
    trainer = library.trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=minimum,
        show_progress=False,
        special_tokens=list(specials.given),
        initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
    )
    model.train_from_iterator(texts, trainer)
    return BytePairs(model, specials)


def save_byte_pairs(path: Path | str, coder: BytePairs) -> None:
    """Writes the coder as the JSON of the `tokenizers` library, at once and durably.

    Raises `StorageError` where the file cannot be written.
    """
    write_atomically(Path(path), coder.as_json())


def load_byte_pairs(path: Path | str, *, specials: Specials = SPECIALS) -> BytePairs:
    """What `save_byte_pairs` has written.

    Raises `DataError` where the file is missing, damaged or of another kind, and `UsageError` without the library.
    """
    library = _library()
    text = read_text(path, limit=LARGEST)
    try:
        model = library.Tokenizer.from_str(text)
        if not isinstance(model.model, library.models.BPE) or not isinstance(model.decoder, library.decoders.ByteLevel):
            raise ValueError("a tokenizer of another kind")
        return BytePairs(model, specials)
    except Exception as error:  # the library raises plain exceptions
        raise DataFormatError(
            path, None, "", "hold byte pairs as fjdl saves them", f"{' '.join(str(error).split())}"
        ) from None


def _library() -> Any:
    try:
        import tokenizers
    except ImportError:
        raise UsageError("byte-pair encoding needs the library tokenizers: pip install 'fjdl[text]'") from None
    return tokenizers
