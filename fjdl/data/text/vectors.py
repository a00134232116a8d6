"""Files of word vectors, of which only the rows of a vocabulary are kept, and tables made of them."""

import codecs
import contextlib
import math
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from fjdl.data.text.lines import opened, raw_lines, unreadable
from fjdl.data.text.vocabulary import Vocabulary
from fjdl.errors import DataFormatError
from fjdl.files import write_atomically

LONGEST_WORD = 2**16  # bytes of a word in a binary file
MOST_NUMBERS = 2**16  # in a vector
COMPARED = 10  # lines of which one must have as many numbers as the first line says


class WordVectors(NamedTuple):
    """Vectors of the words of a vocabulary, row by row; rows of words that the file does not have are 0."""

    table: np.ndarray  # float32 [words, d]
    found: np.ndarray  # bool [words]


def read_glove(path: Path | str, vocabulary: Vocabulary) -> WordVectors:
    """The vectors of the vocabulary's words from a text of lines `word number … number`, `.gz` or not.

    The first line says how many numbers a vector has; a word may hold spaces in later lines, as some of GloVe's do.
    One line is held at a time, and the numbers of words that are not in the vocabulary are counted and not read. Words
    are compared as UTF-8; of a word that stands twice the first vector counts. A byte order mark is left out. Raises
    `DataError` with the line's number where a line is too short, a word is not UTF-8, or a number that is read, as in
    the first line and after a word with spaces, is not finite; for a first line with fewer numbers than the next ones
    have; for that of word2vec, which `read_word2vec_text` reads; and for an empty file.
    """
    rows = _lines(path)
    number, line = next(rows, (1, b""))
    fields = line.split()
    d = len(fields) - 1
    if d < 1:
        got = _shown(line) if line else "an empty file"
        raise DataFormatError(path, "line 1", "a line", "hold a word and its numbers", f"{got}")
    if d == 1 and all(field.isdigit() for field in fields):
        remedy = "which word2vec's files begin with: use read_word2vec_text"
        raise DataFormatError(path, "line 1", "a line", "hold a word and its numbers", f"{_shown(line)}, {remedy}")
    _floats(fields[1:], f"{path}, line 1")

    def every() -> Iterator[tuple[int, bytes]]:
        yield number, line
        yield from rows

    return _collected(path, vocabulary, d, every())


def read_word2vec_text(path: Path | str, vocabulary: Vocabulary) -> WordVectors:
    """As `read_glove` for the text form of word2vec, whose first line says how many words and numbers follow.

    Raises `DataError` besides where another number of lines follows.
    """
    rows = _lines(path)
    count, d = _header(path, next(rows, (1, b""))[1])

    def every() -> Iterator[tuple[int, bytes]]:
        number = 1
        for number, line in rows:
            if number > count + 1:
                raise DataFormatError(path, f"line {number}", "the file", f"end after {count} words", "more")
            yield number, line
        if number != count + 1:
            raise DataFormatError(
                path, f"line {number + 1}", f"{count} words", "follow the first line", f"{number - 1}"
            )

    return _collected(path, vocabulary, d, every())


def read_word2vec_binary(path: Path | str, vocabulary: Vocabulary) -> WordVectors:
    """As `read_glove` for the binary form of word2vec.

    Its first line is that of the text form. A word, a space, little-endian float32 numbers, and perhaps a newline
    follow for each word. Raises `DataError` with the word's number where the file ends early or goes on, a word has
    more than 65,536 bytes, or a number that is read is not finite.
    """
    with opened(path) as stream:
        count, d = _header(path, _guarded(path, 1, lambda: stream.readline(LONGEST_WORD)))
        result = _empty(vocabulary, d)
        numbers = {token.encode("utf-8", "surrogatepass"): place for token, place in vocabulary.numbers.items()}
        for row in range(1, count + 1):
            word = _guarded(path, row + 1, lambda: _word(stream)).lstrip(b"\n")
            data = _guarded(path, row + 1, lambda: stream.read(4 * d))
            if not word or len(data) != 4 * d:
                raise DataFormatError(
                    path, f"word {row}", f"{count} words of {d} numbers", "stand in the file", "its end"
                )
            place = numbers.get(word[:-1])
            if place is not None and not result.found[place]:
                _store(result, place, np.frombuffer(data, "<f4"), f"{path}, word {row}")
        if _guarded(path, count + 2, lambda: stream.read(2)).strip():
            raise DataFormatError(path, f"word {count + 1}", "the file", f"end after {count} words", "more")
    return result


def embedding_table(vectors: WordVectors, *, seed: int = 0, filler: int | None = None) -> np.ndarray:
    """A table float32 `[words, d]` to begin an embedding with: the vectors, and drawn rows for words without one.

    Rows are drawn by `numpy.random.PCG64(seed)` from the normal distribution with the mean and the standard deviation
    of each number among the vectors that were found, and from one of standard deviation 0.1 where none was. The row
    `filler`, that of padding, is 0. Raises `ValueError` for a `filler` outside `[0, words)`.
    """
    words = len(vectors.table)
    if filler is not None and not 0 <= filler < words:
        raise ValueError(f"filler must lie in [0, {words}), got {filler}")
    known = vectors.table[vectors.found].astype(np.float64)
    drawn = np.random.Generator(np.random.PCG64(seed)).standard_normal(vectors.table.shape)
    mean, scale = (known.mean(axis=0), known.std(axis=0)) if len(known) else (0.0, 0.1)
    table = np.where(vectors.found[:, None], vectors.table, mean + scale * drawn).astype(np.float32)
    if filler is not None:
        table[filler] = 0
    return table


def write_word2vec_text(path: Path | str, vocabulary: Vocabulary, table: np.ndarray) -> None:
    """Writes vectors in the text form of word2vec, with nine digits, which give float32 back exactly.

    Raises `ValueError` for words with white space in them or that are not UTF-8, and for a table without a row for each
    word or with a number that is not finite in float32, all of which readers refuse; and `StorageError` where the file
    cannot be written.
    """
    table = np.asarray(table)
    if table.ndim != 2 or len(table) != len(vocabulary):
        raise ValueError(f"table must have a row for each of {len(vocabulary)} words, got shape {list(table.shape)}")
    if bad := [token for token in vocabulary.tokens if not token or token.split() != [token]]:
        raise ValueError(f"words must not be empty or hold white space, got {bad[0]!r}")
    if bad := [token for token in vocabulary.tokens if not _is_utf8(token.encode("utf-8", "surrogatepass"))]:
        raise ValueError(f"words must be utf-8, got {bad[0]!r}")
    if not 1 <= table.shape[1] <= MOST_NUMBERS:
        raise ValueError(f"table must have from 1 to {MOST_NUMBERS} columns, got shape {list(table.shape)}")
    with np.errstate(over="ignore"):
        wrong = np.argwhere(~np.isfinite(table.astype(np.float32)))
    if len(wrong):
        word, number = vocabulary.tokens[wrong[0, 0]], table[tuple(wrong[0])]
        raise ValueError(f"table must hold numbers that are finite in float32, got {number} for {word!r}")
    lines = [f"{len(vocabulary)} {table.shape[1]}"]
    for token, row in zip(vocabulary.tokens, table.tolist(), strict=True):
        lines.append(" ".join([token, *(f"{number:.9g}" for number in row)]))
    write_atomically(Path(path), "\n".join(lines) + "\n")


def _collected(path: Path | str, vocabulary: Vocabulary, d: int, rows: Iterator[tuple[int, bytes]]) -> WordVectors:
    result = _empty(vocabulary, d)
    numbers = {token.encode("utf-8", "surrogatepass"): place for token, place in vocabulary.numbers.items()}
    longer = 0  # how many lines from the second on have more numbers, one after the other
    number, line = 1, b""
    for number, line in rows:
        word, fields = _parted(path, number, line, d)
        if b" " in word and len(spaced := word.split()) > 1:
            _floats(fields, f"{path}, line {number}")
            longer += longer == number - 2 and math.isfinite(_float(spaced[-1]))
        if number == COMPARED + 1:
            _require_even(path, d, number, line, longer)
        place = numbers.get(word)
        if place is not None and not result.found[place]:
            _store(result, place, _floats(fields, f"{path}, line {number}"), f"{path}, line {number}")
    if number <= COMPARED:
        _require_even(path, d, number, line, longer)
    return result


def _parted(path: Path | str, number: int, line: bytes, d: int) -> tuple[bytes, list[bytes]]:
    """The word of a line, which may be empty or hold spaces, and the texts of its last `d` numbers."""
    parts = line.rsplit(None, d)
    if len(parts) == d and line[:1].isspace():
        parts.insert(0, b"")
    if len(parts) != d + 1:
        raise DataFormatError(path, f"line {number}", "a line", f"hold a word and {d} numbers", f"{_shown(line)}")
    word = parts[0].lstrip()
    if not _is_utf8(word):
        raise DataFormatError(path, f"line {number}", "the word", "be utf-8", f"{_shown(line)}")
    return word, parts[1:]


def _require_even(path: Path | str, d: int, number: int, line: bytes, longer: int) -> None:
    """Refuses a first line that says fewer numbers than each of the next ones, the last of which is `line`, has."""
    if number > 1 and longer == number - 1:
        words = [field for field in line.split() if not math.isfinite(_float(field))]
        got = f"{d} and in line {number} {len(line.split()) - len(words)}"
        raise DataFormatError(path, "line 1", "a vector", "have as many numbers as in the next lines", f"{got}")


def _store(result: WordVectors, place: int, row: np.ndarray, where: str) -> None:
    with np.errstate(over="ignore"):
        result.table[place] = row
    if len(wrong := row[~np.isfinite(result.table[place])]):
        raise DataFormatError(where, None, "a vector", "hold finite numbers", f"{wrong[0]}")
    result.found[place] = True


def _floats(fields: list[bytes], where: str) -> np.ndarray:
    """The numbers; raises `DataError` for what is none or is not finite."""
    row = _row(fields)
    if len(wrong := np.flatnonzero(~np.isfinite(row))):
        raise DataFormatError(where, None, "a vector", "hold finite numbers", f"{_shown(fields[wrong[0]])}")
    return row


def _row(fields: list[bytes]) -> np.ndarray:
    """The numbers, NaN for what is none."""
    if b"_" not in b"".join(fields):
        with contextlib.suppress(ValueError):
            return np.array([*map(float, fields)])
    return np.array([_float(field) for field in fields])


def _float(field: bytes) -> float:
    """The number; NaN for what is none."""
    try:
        return math.nan if b"_" in field else float(field)
    except ValueError:
        return math.nan


def _lines(path: Path | str) -> Iterator[tuple[int, bytes]]:
    """The lines with their numbers, without a byte order mark."""
    for number, line in raw_lines(path):
        yield number, line.removeprefix(codecs.BOM_UTF8) if number == 1 else line


def _is_utf8(word: bytes) -> bool:
    try:
        word.decode()
    except UnicodeDecodeError:
        return False
    return True


def _empty(vocabulary: Vocabulary, d: int) -> WordVectors:
    return WordVectors(np.zeros((len(vocabulary), d), np.float32), np.zeros(len(vocabulary), bool))


def _header(path: Path | str, line: bytes) -> tuple[int, int]:
    """The number of words and of the numbers of each."""
    fields = line.split()
    if len(fields) != 2 or not all(field.isdigit() for field in fields) or not 1 <= int(fields[1]) <= MOST_NUMBERS:
        rule = "the line must hold the number of words and of the numbers of each"
        raise DataFormatError.told(f"{path}, line 1: {rule}, got {_shown(line)}")
    return int(fields[0]), int(fields[1])


def _word(stream: IO[bytes]) -> bytes:
    """The bytes up to the next space, that included; nothing at the end of the file."""
    word = bytearray()
    while (byte := stream.read(1)) and len(word) <= LONGEST_WORD:
        word += byte
        if byte == b" ":
            return bytes(word)
    return b""


def _guarded(path: Path | str, line: int, read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(path, error, line=line) from error


def _shown(line: bytes) -> str:
    return repr(line[:60].decode("utf-8", "replace").rstrip("\r\n"))
