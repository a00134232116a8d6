"""Texts for language models: tiny Shakespeare by characters and WikiText-2 by words."""

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from fjdl.data.blank import Blank, found_or_blank
from fjdl.data.files import RemoteFile, find_or_download, require_sound, search_path
from fjdl.data.source import Source, from_arrays
from fjdl.data.text.coder import Coder, TextSplits
from fjdl.data.text.lines import decoder, read_text
from fjdl.data.text.pairs import keep_probabilities, skipgram_pairs, subsample
from fjdl.data.text.tokenizers import CHARACTERS, LINES
from fjdl.data.text.vocabulary import NO_SPECIALS, Specials, build_vocabulary, token_counts
from fjdl.data.text.windows import next_token_windows
from fjdl.errors import DataFormatError

Texts = tuple[str, str, str]  # of the training, the validation and the test part

SHAKESPEARE = RemoteFile(
    name="input.txt",
    urls=(
        "https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt",
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
    ),
    size=1_115_394,
    sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
)
WIKITEXT2 = RemoteFile(
    name="wikitext-2-v1.zip",
    urls=(
        "https://s3.amazonaws.com/research.metamind.io/wikitext/wikitext-2-v1.zip",
        "https://wikitext.smerity.com/wikitext-2-v1.zip",
    ),
    size=4_475_746,
    sha256="92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c",
)
WIKITEXT2_MEMBERS = {  # bytes and sha256 of each text
    "wiki.train.tokens": (10_797_148, "9e9fa1ad55b1c2c95b08e37dd8e653f638fac2c6de904b79e813611eefbc985f"),
    "wiki.valid.tokens": (1_121_681, "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8"),
    "wiki.test.tokens": (1_256_449, "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0"),
}
WIKITEXT2_TYPES = 33_278  # distinct words of the training part, `<unk>` and `<eos>` among them
SHAKESPEARE_TYPES = 65  # distinct characters


def tiny_shakespeare(
    *,
    data_dir: Path | str | None = None,
    steps: int = 128,
    lanes: int = 1,
    held_out_steps: int | None = None,
    held_out_lanes: int = 1,
) -> TextSplits:
    """1,115,394 characters of plays, of which 65 are distinct, in windows of `steps` (Karpathy, 2015).

    The first 1,003,854 characters are the training part, the next 55,770 the validation part and the last 55,770 the
    test part: 90, 5 and 5 %, cut from the whole in its order. Windows, `lanes` and examples are those of
    `fjdl.data.text.next_token_windows`; the other parts are `held_out_lanes` of windows of `held_out_steps`,
    `steps` by default. The vocabulary has no special tokens; `classes` are its characters. Raises `DataError` where the
    file is missing, damaged or not the official one.
    """
    text = found_or_blank("tinyshakespeare", lambda: _shakespeare(data_dir), _letters)
    middle, last = (len(text) * 9 // 10, len(text) * 19 // 20)
    texts = text[:middle], text[middle:last], text[last:]
    coder = Coder(CHARACTERS, build_vocabulary(texts[0], specials=NO_SPECIALS))
    return _windowed("tinyshakespeare", texts, coder, (steps, lanes), (held_out_steps or steps, held_out_lanes))


def wikitext2(
    *,
    data_dir: Path | str | None = None,
    steps: int = 35,
    lanes: int = 1,
    held_out_steps: int | None = None,
    held_out_lanes: int = 1,
) -> TextSplits:
    """2,088,628 words of Wikipedia, with 217,646 and 245,569 held out, of which 33,278 are distinct (Merity, 2016).

    Words are what stands between white space, with `<eos>` at the end of each line, blank ones included, as published
    results count them. Rare words are `<unk>` in the files already. Windows, `lanes` and examples are those of
    `fjdl.data.text.next_token_windows`; the other parts are `held_out_lanes` of windows of `held_out_steps`,
    `steps` by default. `classes` are the words, from the most frequent on, after `<unk>`.

    In each folder of `fjdl.data.files.search_path`, and first in `wikitext-2/` there, the three files `wiki.*.tokens`
    or a zip file that holds them (`wikitext-2-v1.zip`, `wikitext-2.zip`) are looked for; nothing is unpacked to disk.
    The sha256 of each text counts, and not that of the zip file. Raises `DataError` where one is missing, damaged or
    not the official one.
    """
    texts = found_or_blank("wikitext-2", lambda: _wikitext2(data_dir), _words)
    specials = Specials(unk="<unk>", pad=None, bos=None, eos=None)
    coder = Coder(LINES, build_vocabulary(LINES.split(texts[0]), specials=specials))
    return _windowed("wikitext-2", texts, coder, (steps, lanes), (held_out_steps or steps, held_out_lanes))


def wikitext2_pairs(
    *, data_dir: Path | str | None = None, window: int = 5, threshold: float = 1e-4, minimum: int = 5, seed: int = 0
) -> TextSplits:
    """Words of `wikitext2` that stand near one another, for word vectors: `{"center": int32, "context": int32}`.

    The vocabulary has `<unk>` and the words that occur `minimum` times in the training part. Unknown words and `<eos>`
    are left out, and frequent words are thinned out in each part by `fjdl.data.text.keep_probabilities` of the training
    part. Pairs are those of `fjdl.data.text.skipgram_pairs` and do not reach over the end of a line. Both are drawn
    once, by `seed`. Files and errors are those of `wikitext2`.
    """
    texts = found_or_blank("wikitext-2", lambda: _wikitext2(data_dir), _words)
    specials = Specials(unk="<unk>", pad=None, bos=None, eos=None)
    coder = Coder(LINES, build_vocabulary(LINES.split(texts[0]), minimum=minimum, specials=specials))
    words, end = coder.vocabulary, coder.vocabulary.numbers["<eos>"]
    counts = token_counts(coder.encode(texts[0]), words)
    counts[[words.unk, end]] = 0
    keep = np.where(counts > 0, keep_probabilities(counts, threshold=threshold), 0)

    def pairs(text: str) -> Source:
        ids = coder.encode(text)
        kept = subsample(np.arange(len(ids)), keep[ids], seed=seed)
        lines = np.cumsum(ids == end)[kept]
        return from_arrays(skipgram_pairs(ids[kept], window=window, seed=seed, texts=lines))

    train, validation, test = map(pairs, texts)
    return TextSplits(
        name="wikitext-2", train=train, validation=validation, test=test, classes=words.tokens, coders={"center": coder}
    )


def _windowed(
    name: str, texts: Texts, coder: Coder, training: tuple[int, int], held_out: tuple[int, int]
) -> TextSplits:
    """The parts in windows of so many steps and in so many lanes."""

    def windows(text: str, shape: tuple[int, int]) -> Source:
        return next_token_windows(coder.encode(text), steps=shape[0], lanes=shape[1])

    return TextSplits(
        name=name,
        train=windows(texts[0], training),
        validation=windows(texts[1], held_out),
        test=windows(texts[2], held_out),
        classes=coder.vocabulary.tokens,
        coders={"tokens": coder},
    )


def _shakespeare(data_dir: Path | str | None) -> str:
    return read_text(find_or_download("tinyshakespeare", SHAKESPEARE, data_dir=data_dir))


def _wikitext2(data_dir: Path | str | None) -> Texts:
    folders = [root / name for root in search_path(data_dir) for name in ("wikitext-2", ".")]
    for folder in folders:
        for name in (WIKITEXT2.name, "wikitext-2.zip"):
            if (folder / name).is_file():
                return read_wikitext(folder / name, WIKITEXT2_MEMBERS)
        if (folder / "wiki.train.tokens").is_file():
            return read_wikitext(folder, WIKITEXT2_MEMBERS)
    return read_wikitext(find_or_download("wikitext-2", WIKITEXT2, data_dir=data_dir), WIKITEXT2_MEMBERS)


def read_wikitext(path: Path, members: Mapping[str, tuple[int, str]]) -> Texts:
    """The three texts of WikiText from a folder or a zip file, each verified by its size and sha256 in `members`.

    Raises `DataError` where a text is missing, cannot be read, is another one or is not UTF-8.
    """
    if path.is_dir():
        return _verified(path, members, lambda name, limit: _bytes(path / name, limit))
    try:
        with zipfile.ZipFile(path) as archive:
            require_sound(archive, path)
            places = {Path(name).name: name for name in archive.namelist()}
            return _verified(path, members, lambda name, limit: _member(archive, places, name, limit))
    except (OSError, EOFError, ValueError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataFormatError(path, None, "the archive", "be readable", f"{' '.join(str(error).split())}") from error


def _bytes(path: Path, limit: int) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(limit)
    except OSError as error:
        raise DataFormatError(path, None, "", "be readable", f"{error.strerror or error}") from error


def _member(archive: zipfile.ZipFile, places: Mapping[str, str], name: str, limit: int) -> bytes:
    if name not in places:
        raise DataFormatError(archive.filename, None, "the archive", f"hold {name}", "no such member")
    with archive.open(places[name]) as stream:
        return stream.read(limit)


def _verified(path: Path, members: Mapping[str, tuple[int, str]], read: Callable[[str, int], bytes]) -> Texts:
    texts = []
    for name, (size, sha256) in members.items():
        data = read(name, size + 1)
        if len(data) != size:
            raise DataFormatError(
                path, None, f"{name}", f"have {size} bytes", f"{'more' if len(data) > size else len(data)}"
            )
        if (digest := hashlib.sha256(data).hexdigest()) != sha256:
            raise DataFormatError(path, None, f"{name}", f"have sha256 {sha256}", f"{digest}")
        decode = decoder(path / name, "utf-8")
        texts.append("\n".join(decode(number, line) for number, line in enumerate(data.split(b"\n"), 1)))
    train, validation, test = texts
    return train, validation, test


def _letters(_: Blank) -> str:
    """Noise of as many characters as the plays have, of which as many are distinct."""
    numbers = np.random.default_rng(0).integers(0, SHAKESPEARE_TYPES, SHAKESPEARE.size)
    return "".join(map(chr, (numbers + 32).tolist()))


def _words(_: Blank) -> Texts:
    """As many words as the texts have, of which as many are distinct."""
    names = np.array(["<unk>", *(f"w{number}" for number in range(WIKITEXT2_TYPES - 2))])
    counts = (2_088_628, 217_646, 245_569)
    train, validation, test = (" ".join(np.resize(names, count - 1).tolist()) + "\n" for count in counts)
    return train, validation, test
