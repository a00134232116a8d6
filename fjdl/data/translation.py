"""Pairs of texts: free-form dates with their ISO form, and captions of photographs in English and German."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fjdl.data.blank import Blank, found_or_blank
from fjdl.data.files import RemoteFile, find_or_download
from fjdl.data.source import PARTS, Source, from_arrays, to_arrays
from fjdl.data.splits import split
from fjdl.data.text.byte_pairs import train_byte_pairs
from fjdl.data.text.coder import Coder, TextSplits
from fjdl.data.text.formats import read_parallel
from fjdl.data.text.lines import read_lines
from fjdl.data.text.padding import encode_texts
from fjdl.data.text.tokenizers import CHARACTERS, LOWERCASE_WORDS
from fjdl.data.text.vocabulary import build_vocabulary
from fjdl.errors import DataFormatError

Pairs = tuple[list[str], list[str]]  # sources and targets

DATES = RemoteFile(
    name="date.txt",
    urls=(
        "https://raw.githubusercontent.com/oreilly-japan/deep-learning-from-scratch-2/842ae31c2bb070f5116275606ed90396626a2c17/dataset/date.txt",
        "https://raw.githubusercontent.com/oreilly-japan/deep-learning-from-scratch-2/master/dataset/date.txt",
    ),
    size=2_050_000,
    sha256="62e66a301ce8537868e725512d2a45663fc366526b7e42028cb703bda2b1c79a",
)
MULTI30K_HOME = "https://github.com/multi30k/dataset/raw/"
MULTI30K_VERSIONS = ("a3d2e0d26b56f3846f66a952536ffed4e401d05a", "master")


def _multi30k(name: str, size: int, sha256: str) -> RemoteFile:
    urls = tuple(f"{MULTI30K_HOME}{version}/data/task1/raw/{name}" for version in MULTI30K_VERSIONS)
    return RemoteFile(name=name, urls=urls, size=size, sha256=sha256)


MULTI30K_FILES: Mapping[str, Mapping[str, RemoteFile]] = {
    "train": {
        "en": _multi30k("train.en.gz", 568_929, "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f"),
        "de": _multi30k("train.de.gz", 637_044, "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6"),
    },
    "validation": {
        "en": _multi30k("val.en.gz", 21_650, "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28"),
        "de": _multi30k("val.de.gz", 24_681, "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a"),
    },
    "test": {
        "en": _multi30k(
            "test_2016_flickr.en.gz", 21_077, "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9"
        ),
        "de": _multi30k(
            "test_2016_flickr.de.gz", 22_890, "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8"
        ),
    },
}


def dates(
    *, data_dir: Path | str | None = None, validation: int = 2000, test: int = 2000, split_seed: int = 0
) -> TextSplits:
    """41,578 dates as people write them, such as "september 27, 1994", with their ISO form, "1994-09-27".

    The file (Saitoh, "Deep Learning from Scratch 2", 2018) has 50,000 lines, of which 41,578 are distinct. The distinct
    ones are divided, so no date of one part stands in another: `validation` and `test` of them are drawn, the rest is
    the training part. Both forms are in characters. Examples are `{"source": int32 [29], "source_length": int32,
    "target": int32 [12], "target_length": int32}`, with `<bos>` before and `<eos>` after the target. Raises `DataError`
    where the file is missing, damaged or not the official one.
    """
    sources, targets = found_or_blank("dates", lambda: _dates(data_dir), _made_up_dates)
    if min(validation, test) < 1 or validation + test >= len(sources):
        raise ValueError(f"validation and test must be at least 1 and leave examples, got {validation} and {test}")
    shares = validation / len(sources), test / len(sources)
    chosen = split(len(sources), fractions=(1 - sum(shares), *shares), seed=split_seed)
    parts = [([sources[i] for i in part], [targets[i] for i in part]) for part in chosen]
    coders = [Coder(CHARACTERS, build_vocabulary("".join(texts))) for texts in parts[0]]
    return _translated("dates", parts, (coders[0], coders[1]), (29, 12))


def multi30k(
    *,
    data_dir: Path | str | None = None,
    source: str = "en",
    target: str = "de",
    minimum: int = 2,
    steps: int = 50,
) -> TextSplits:
    """29,000 captions of photographs in English and German, with 1,014 and 1,000 held out (Elliott et al., 2016).

    The official parts of task 1, of which `test_2016_flickr` is the test, in words of lower case that occur `minimum`
    times in the training part of their language. Examples are `{"source": int32 [steps], "source_length": int32,
    "target": int32 [steps], "target_length": int32}`, cut off at `steps`, with `<bos>` before and `<eos>` after the
    target. `read_multi30k` gives the texts themselves. Raises `DataError` where a file is missing, damaged or not the
    official one, and `ValueError` for languages other than "en" and "de".
    """
    parts = _oriented(data_dir, source, target)
    coders = [Coder(LOWERCASE_WORDS, build_vocabulary(_words(texts), minimum=minimum)) for texts in parts[0]]
    return _translated("multi30k", parts, (coders[0], coders[1]), (steps, steps))


def multi30k_byte_pairs(
    *,
    data_dir: Path | str | None = None,
    source: str = "en",
    target: str = "de",
    size: int = 8000,
    steps: int = 64,
) -> TextSplits:
    """The captions of `multi30k` in byte pairs, of which both languages share `size`, learned on the training part.

    Case stays, and every text comes back from its numbers exactly. Raises `UsageError` without the library
    `tokenizers`, and what `multi30k` does.
    """
    parts = _oriented(data_dir, source, target)
    coder = train_byte_pairs([*parts[0][0], *parts[0][1]], size=size)
    return _translated("multi30k", parts, (coder, coder), (steps, steps))


def longer_lengths(pairs: Source) -> np.ndarray:
    """The greater of both lengths of each pair, int32 `[n]`, by which `orders.buckets` divides them."""
    arrays = to_arrays(pairs)
    return np.maximum(arrays["source_length"], arrays["target_length"])


def read_multi30k(*, data_dir: Path | str | None = None) -> dict[str, dict[str, list[str]]]:
    """The captions of each part, "train", "validation" and "test", by language, "en" and "de", line by line.

    Raises `DataError` where a file is missing, damaged or not the official one.
    """
    found = {
        part: {language: find_or_download("multi30k", file, data_dir=data_dir) for language, file in files.items()}
        for part, files in MULTI30K_FILES.items()
    }
    return {part: read_parallel(paths) for part, paths in found.items()}


def _oriented(data_dir: Path | str | None, source: str, target: str) -> list[Pairs]:
    """The pairs of the three parts from one language to the other."""
    if {source, target} != {"en", "de"}:
        raise ValueError(f"source and target must be 'en' and 'de' or 'de' and 'en', got {source!r} and {target!r}")
    texts = found_or_blank("multi30k", lambda: read_multi30k(data_dir=data_dir), _made_up_captions)
    return [(texts[part][source], texts[part][target]) for part in PARTS]


def _translated(name: str, parts: Sequence[Pairs], coders: tuple[Coder, Coder], steps: tuple[int, int]) -> TextSplits:
    train, validation, test = (_pairs(pairs, coders, steps) for pairs in parts)
    return TextSplits(
        name=name,
        train=train,
        validation=validation,
        test=test,
        classes=coders[1].vocabulary.tokens,
        coders={"source": coders[0], "target": coders[1]},
    )


def _pairs(pairs: Pairs, coders: tuple[Coder, Coder], steps: tuple[int, int]) -> Source:
    source, source_length = encode_texts(coders[0], pairs[0], steps=steps[0])
    target, target_length = encode_texts(coders[1], pairs[1], steps=steps[1], ends=True)
    return from_arrays(
        {"source": source, "source_length": source_length, "target": target, "target_length": target_length}
    )


def _words(texts: Sequence[str]) -> list[str]:
    return [token for text in texts for token in LOWERCASE_WORDS.split(text)]


def _dates(data_dir: Path | str | None) -> Pairs:
    return read_dates(find_or_download("dates", DATES, data_dir=data_dir))


def read_dates(path: Path | str) -> Pairs:
    """The distinct dates of a file of lines `source_target`, each in its first place, without the spaces that pad them.

    Raises `DataError` with the line's number where `_` does not stand between two texts, and for an empty file.
    """
    pairs: dict[tuple[str, str], None] = {}
    for number, line in enumerate(read_lines(path), 1):
        source, _, target = line.partition("_")
        if not source.strip() or not target.strip():
            raise DataFormatError(
                path, f"line {number}", "a line", "hold a date, `_` and its ISO form", f"{line[:60]!r}"
            )
        pairs[source.strip(), target.strip()] = None
    if not pairs:
        raise DataFormatError(path, "line 1", "a line", "hold a date, `_` and its ISO form", "an empty file")
    return [source for source, _ in pairs], [target for _, target in pairs]


def _made_up_dates(_: Blank) -> Pairs:
    days = [f"{1900 + n // 336}-{n // 28 % 12 + 1:02}-{n % 28 + 1:02}" for n in range(41_578)]
    return days, days


def _made_up_captions(_: Blank) -> dict[str, dict[str, list[str]]]:
    rng = np.random.default_rng(0)
    counts = {"train": 29_000, "validation": 1_014, "test": 1_000}
    texts = {
        part: [" ".join(f"w{number}" for number in row) for row in rng.integers(0, 6000, (count, 12))]
        for part, count in counts.items()
    }
    return {part: {"en": lines, "de": lines} for part, lines in texts.items()}
