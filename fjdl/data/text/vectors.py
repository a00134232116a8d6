"""Files of word vectors, of which only the rows of a vocabulary are kept, and tables made of them."""

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from fjdl.data.text.lines import opened, raw_lines, unreadable
from fjdl.data.text.vocabulary import Vocabulary
from fjdl.errors import DataError
from fjdl.files import write_atomically

LONGEST_WORD = 2**16  # bytes of a word in a binary file
MOST_NUMBERS = 2**16  # in a vector


class WordVectors(NamedTuple):
    """Vectors of the words of a vocabulary, row by row; rows of words that the file does not have are 0."""

    table: np.ndarray  # float32 [words, d]
    found: np.ndarray  # bool [words]


def read_glove(path: Path | str, vocabulary: Vocabulary) -> WordVectors:
    """The vectors of the vocabulary's words from a text of lines `word number … number`, `.gz` or not.

    The first line says how many numbers a vector has; a word may hold spaces in later lines, as some of GloVe's do.
    One line is held at a time, and the numbers of words that are not in the vocabulary are counted and not read. Words
    are compared as UTF-8; of a word that stands twice the first vector counts. Raises `DataError` with the line's
    number where a line is too short, a word is not UTF-8, or a number that is read is not finite; and for an empty
    file.
    """
    rows = raw_lines(path)
    number, line = next(rows, (1, b""))
    d = _fields(line).count(b" ")
    if d < 1:
        raise DataError(f"{path}, line 1: a line must hold a word and its numbers, got {_shown(line)}")

    def every() -> Iterator[tuple[int, bytes]]:
        yield number, line
        yield from rows

    return _collected(path, vocabulary, d, every())


def read_word2vec_text(path: Path | str, vocabulary: Vocabulary) -> WordVectors:
    """As `read_glove` for the text form of word2vec, whose first line says how many words and numbers follow.

    Raises `DataError` besides where another number of lines follows.
    """
    rows = raw_lines(path)
    count, d = _header(path, next(rows, (1, b""))[1])

    def every() -> Iterator[tuple[int, bytes]]:
        number = 1
        for number, line in rows:
            if number > count + 1:
                raise DataError(f"{path}, line {number}: the file must end after {count} words, got more")
            yield number, line
        if number != count + 1:
            raise DataError(f"{path}, line {number + 1}: {count} words must follow the first line, got {number - 1}")

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
                raise DataError(f"{path}, word {row}: {count} words of {d} numbers must stand in the file, got its end")
            _store(result, numbers.get(word[:-1]), np.frombuffer(data, "<f4"), f"{path}, word {row}")
        if _guarded(path, count + 2, lambda: stream.read(2)).strip():
            raise DataError(f"{path}, word {count + 1}: the file must end after {count} words, got more")
    return result


def embedding_table(vectors: WordVectors, *, seed: int = 0, filler: int | None = None) -> np.ndarray:
    """A table float32 `[words, d]` to begin an embedding with: the vectors, and drawn rows for words without one.

    Rows are drawn by `numpy.random.PCG64(seed)` from the normal distribution with the mean and the standard deviation
    of each number among the vectors that were found, and from one of standard deviation 0.1 where none was. The row
    `filler`, that of padding, is 0.
    """
    known = vectors.table[vectors.found].astype(np.float64)
    drawn = np.random.Generator(np.random.PCG64(seed)).standard_normal(vectors.table.shape)
    mean, scale = (known.mean(axis=0), known.std(axis=0)) if len(known) else (0.0, 0.1)
    table = np.where(vectors.found[:, None], vectors.table, mean + scale * drawn).astype(np.float32)
    if filler is not None:
        table[filler] = 0
    return table


def write_word2vec_text(path: Path | str, vocabulary: Vocabulary, table: np.ndarray) -> None:
    """Writes vectors in the text form of word2vec, with nine digits, which give float32 back exactly.

    Raises `ValueError` for words with white space in them and for a table without a row for each word, and
    `StorageError` where the file cannot be written.
    """
    if table.ndim != 2 or len(table) != len(vocabulary):
        raise ValueError(f"table must have a row for each of {len(vocabulary)} words, got shape {list(table.shape)}")
    if bad := [token for token in vocabulary.tokens if not token or token.split() != [token]]:
        raise ValueError(f"words must not be empty or hold white space, got {bad[0]!r}")
    lines = [f"{len(vocabulary)} {table.shape[1]}"]
    for token, row in zip(vocabulary.tokens, table.tolist(), strict=True):
        lines.append(" ".join([token, *(f"{number:.9g}" for number in row)]))
    write_atomically(Path(path), "\n".join(lines) + "\n")


def _collected(path: Path | str, vocabulary: Vocabulary, d: int, rows: Iterator[tuple[int, bytes]]) -> WordVectors:
    result = _empty(vocabulary, d)
    numbers = {token.encode("utf-8", "surrogatepass"): place for token, place in vocabulary.numbers.items()}
    for number, line in rows:
        word, *fields = _fields(line).rsplit(b" ", d)
        if len(fields) != d:
            raise DataError(f"{path}, line {number}: a line must hold a word and {d} numbers, got {_shown(line)}")
        if not _is_utf8(word):
            raise DataError(f"{path}, line {number}: the word must be utf-8, got {_shown(line)}")
        place = numbers.get(word)
        if place is not None and not result.found[place]:
            _store(result, place, _floats(fields), f"{path}, line {number}")
    return result


def _store(result: WordVectors, place: int | None, row: np.ndarray, where: str) -> None:
    if place is None or result.found[place]:
        return
    with np.errstate(over="ignore"):
        result.table[place] = row
    if not np.isfinite(result.table[place]).all():
        raise DataError(f"{where}: a vector must hold finite numbers")
    result.found[place] = True


def _floats(fields: list[bytes]) -> np.ndarray:
    """The numbers; NaN for what is none."""
    try:
        return np.array([float(field) for field in fields])
    except ValueError:
        return np.full(len(fields), np.nan)


def _is_utf8(word: bytes) -> bool:
    try:
        word.decode()
    except UnicodeDecodeError:
        return False
    return True


def _fields(line: bytes) -> bytes:
    return line.rstrip(b" \r\n\t").replace(b"\t", b" ")


def _empty(vocabulary: Vocabulary, d: int) -> WordVectors:
    return WordVectors(np.zeros((len(vocabulary), d), np.float32), np.zeros(len(vocabulary), bool))


def _header(path: Path | str, line: bytes) -> tuple[int, int]:
    """The number of words and of the numbers of each."""
    fields = line.split()
    if len(fields) != 2 or not all(field.isdigit() for field in fields) or not 1 <= int(fields[1]) <= MOST_NUMBERS:
        rule = "the line must hold the number of words and of the numbers of each"
        raise DataError(f"{path}, line 1: {rule}, got {_shown(line)}")
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
