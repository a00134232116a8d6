"""Vocabularies: words in a fixed order, and the numbers that stand for them."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from fjdl.checks import at_least, one_of
from fjdl.data.text.given import integers, iterable, strings, vector
from fjdl.data.text.lines import read_text
from fjdl.errors import DataFormatError
from fjdl.files import write_atomically

FORMAT = "fjdl vocabulary 1"
LARGEST = 2**30  # bytes of a saved vocabulary


class Specials(NamedTuple):
    """Tokens with a meaning of their own; None where a vocabulary does without one."""

    unk: str | None = "<unk>"  # stands for every token that the vocabulary does not have
    pad: str | None = "<pad>"  # fills up what is shorter than its row
    bos: str | None = "<bos>"  # before the first token
    eos: str | None = "<eos>"  # after the last one

    @property
    def given(self) -> tuple[str, ...]:
        """Those that are not None, in their order."""
        return tuple(token for token in self if token is not None)


SPECIALS = Specials()
NO_SPECIALS = Specials(None, None, None, None)


@dataclass(frozen=True)
class Vocabulary:
    """Distinct tokens, whose numbers are their places, and which of them are special.

    `decode(encode(tokens)) == list(tokens)` where the vocabulary has every token. Raises `ValueError` for tokens that
    repeat or are no strings, and for special ones that are not among them.

    >>> vocabulary = Vocabulary(("<unk>", "the", "cat"), Specials("<unk>", None, None, None))
    >>> vocabulary.encode(["the", "dog"])
    array([1, 0], dtype=int32)
    >>> vocabulary.decode([2, 1])
    ['cat', 'the']
    """

    tokens: tuple[str, ...]
    specials: Specials = SPECIALS

    def __post_init__(self) -> None:
        strings("tokens", self.tokens)
        if len(self.numbers) != len(self.tokens):
            twice = next(token for token, count in Counter(self.tokens).items() if count > 1)
            raise ValueError(f"tokens must be distinct, got {twice!r} twice")
        if missing := [token for token in self.specials.given if token not in self.numbers]:
            raise ValueError(f"tokens must hold the special ones, got none that is {missing[0]!r}")

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self.numbers

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each token."""
        return {token: number for number, token in enumerate(self.tokens)}

    @property
    def unk(self) -> int:
        """The number of the token for unknown ones; this and the next three raise `ValueError` where there is none."""
        return self._special("unk")

    @property
    def pad(self) -> int:
        """The number of the token that fills up rows."""
        return self._special("pad")

    @property
    def bos(self) -> int:
        """The number of the token before the first one."""
        return self._special("bos")

    @property
    def eos(self) -> int:
        """The number of the token after the last one."""
        return self._special("eos")

    @property
    def filler(self) -> int:
        """What rows are filled up with: `pad`, or 0 where the vocabulary has no such token."""
        return 0 if self.specials.pad is None else self.pad

    def encode(self, tokens: Iterable[str]) -> np.ndarray:
        """The number of each token as int32 `[t]`; that of `<unk>` for one that the vocabulary does not have.

        Raises `ValueError` for such a token where the vocabulary has no `<unk>`, and for one that is no string.
        """
        numbers, tokens = self.numbers, strings("tokens", tokens)
        if self.specials.unk is None:
            try:
                return np.fromiter((numbers[token] for token in tokens), np.int32)
            except KeyError as error:
                raise ValueError(f"tokens must be in the vocabulary, which has no <unk>, got {error}") from None
        unknown = self.unk
        return np.fromiter((numbers.get(token, unknown) for token in tokens), np.int32)

    def decode(self, ids: Iterable[int] | np.ndarray) -> list[str]:
        """The token of each number; raises `ValueError` unless they are a vector in `[0, len(vocabulary))`."""
        listed = vector("ids", ids).tolist()
        for number in listed:
            if not 0 <= number < len(self.tokens):
                raise ValueError(f"ids must lie in [0, {len(self.tokens)}), got {number}")
        return [self.tokens[number] for number in listed]

    def _special(self, name: str) -> int:
        token = getattr(self.specials, name)
        if token is None:
            raise ValueError(f"the vocabulary must have a token for {name}, got {self.specials}")
        return self.numbers[token]


def build_vocabulary(
    tokens: Iterable[str],
    *,
    minimum: int = 1,
    size: int | None = None,
    ties: Literal["appearance", "alphabet"] = "appearance",
    specials: Specials = SPECIALS,
) -> Vocabulary:
    """The vocabulary of a text: the special tokens first, then the others from the most frequent to the rarest.

    Tokens that occur fewer than `minimum` times are left out, and then the last ones, until at most `size` remain, the
    special ones included. Tokens of one count stand in the order in which they first appear, or of their code points
    ("alphabet"), so the order is that of no machine or version. A special token that occurs in the text stays in front.
    Give it the training part alone. Raises `ValueError` for a `minimum` below 1, a `size` without room for the
    special tokens, and tokens that are no strings.

    >>> build_vocabulary("the cat and the dog".split(), size=6).tokens
    ('<unk>', '<pad>', '<bos>', '<eos>', 'the', 'cat')
    """
    at_least(1, minimum=minimum)
    at_least(len(specials.given), size=size)
    one_of(("appearance", "alphabet"), ties=ties)
    counts = _counted(tokens)
    for token in specials.given:
        del counts[token]
    kept = [pair for pair in counts.items() if pair[1] >= minimum]
    kept.sort(key=(lambda pair: -pair[1]) if ties == "appearance" else (lambda pair: (-pair[1], pair[0])))
    return Vocabulary((*specials.given, *(token for token, _ in kept))[:size], specials)


def token_counts(ids: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """How often each token of the vocabulary occurs among `ids`, int64 `[len(vocabulary)]`.

    Raises `ValueError` for ids that are no integers in `[0, len(vocabulary))`.
    """
    places = integers("ids", ids, below=len(vocabulary)).reshape(-1)
    return np.bincount(places, minlength=len(vocabulary)).astype(np.int64)


def _counted(tokens: Iterable[str]) -> Counter[str]:
    try:
        counts = Counter(iterable("tokens", tokens))
    except TypeError as error:
        raise ValueError(f"tokens must be strings, got {error}") from error
    strings("tokens", counts)
    return counts


def save_vocabulary(path: Path | str, vocabulary: Vocabulary) -> None:
    """Writes the vocabulary as JSON, at once and durably; any token survives, such as one that is a newline.

    Raises `StorageError` where the file cannot be written.
    """
    write_atomically(Path(path), as_json(vocabulary))


def as_json(vocabulary: Vocabulary) -> str:
    """What `save_vocabulary` writes."""
    content = {"format": FORMAT, "specials": vocabulary.specials._asdict(), "tokens": vocabulary.tokens}
    return json.dumps(content, indent=0) + "\n"


def load_vocabulary(path: Path | str) -> Vocabulary:
    """What `save_vocabulary` has written; raises `DataError` where the file is missing, damaged or something else."""
    try:
        content = json.loads(read_text(path, limit=LARGEST))
        return _vocabulary(content["format"], content["specials"], content["tokens"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise DataFormatError(
            path, None, "", "be a vocabulary as fjdl saves it", f"{type(error).__name__}: {reason}"
        ) from None


def _vocabulary(version: object, specials: dict[str, str | None], tokens: Sequence[str]) -> Vocabulary:
    if version != FORMAT:
        raise ValueError(f"format must be {FORMAT!r}, got {version!r}")
    if not (isinstance(tokens, list) and all(isinstance(token, str) for token in tokens)):
        raise ValueError("tokens must be a list of strings")
    if not all(token is None or isinstance(token, str) for token in specials.values()):
        raise ValueError(f"specials must be strings or null, got {specials}")
    return Vocabulary(tuple(tokens), Specials(**specials))
