"""Word vectors in the forms of GloVe and word2vec, good and damaged, and tables made of them."""

import gzip
import re
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from fjdl.data.text import (
    NO_SPECIALS,
    Specials,
    Vocabulary,
    build_vocabulary,
    embedding_table,
    read_glove,
    read_word2vec_binary,
    read_word2vec_text,
    write_word2vec_text,
)
from fjdl.errors import DataError

VOCABULARY = Vocabulary(("<unk>", "cat", "dog", "été", "absent"), Specials("<unk>", None, None, None))
ROWS = {"the": (0.5, -1, 2), "dog": (1e-3, 2, 3), "été": (4, 5, 6), "cat": (7, 8, 9)}
EXPECTED = np.float32([[0, 0, 0], [7, 8, 9], [1e-3, 2, 3], [4, 5, 6], [0, 0, 0]])
FOUND = [False, True, True, True, False]


def glove(rows=ROWS) -> str:
    return "".join(f"{word} {' '.join(map(str, numbers))}\n" for word, numbers in rows.items())


def binary(rows=ROWS, *, header: str = "4 3", newline: bytes = b"\n") -> bytes:
    body = [word.encode() + b" " + struct.pack("<3f", *numbers) + newline for word, numbers in rows.items()]
    return f"{header}\n".encode() + b"".join(body)


def put(path: Path, content: str | bytes) -> Path:
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["v", "v.gz"])
@pytest.mark.parametrize(
    ("read", "content"),
    [
        (read_glove, glove()),
        (read_glove, glove().replace("\n", " \r\n")[:-3]),
        (read_glove, glove(ROWS | {". . .": (1, 1, 1), "cat dog": (2, 2, 2)})),  # as in GloVe's largest file
        (read_word2vec_text, "4 3\n" + glove().replace("\n", " \n")),  # as word2vec's program writes it
        (read_word2vec_binary, binary()),
        (read_word2vec_binary, binary(newline=b"")),  # as in the vectors of Google News
        (read_glove, glove() + "cat 1 1 1\n"),  # the first of two counts
        (read_glove, "\ufeff" + glove(dict(reversed(ROWS.items())))),
        (read_word2vec_text, "\ufeff4 3\n" + glove()),
        (read_glove, glove().replace("cat ", "cat  ").replace("dog ", " dog\t").replace(" 5", "  5")),
        (read_glove, glove({"the": (0, 0, 0), "bus 7": (1, 1, 1)} | ROWS) + " 1 2 3\n"),  # words are what they are
    ],
)
def test_rows_of_the_vocabulary_are_read(tmp_path: Path, name: str, read, content: str | bytes) -> None:
    vectors = read(put(tmp_path / name, content), VOCABULARY)
    np.testing.assert_array_equal(vectors.table, EXPECTED)
    assert (vectors.table.dtype, vectors.found.tolist()) == (np.float32, FOUND)


@pytest.mark.parametrize(
    ("read", "content", "rule"),
    [
        (read_glove, "the 1 2 3\ncat 7 8\n", "line 2: a line must hold a word and 3 numbers, got 'cat 7 8'"),
        (read_glove, "the 1 2 3\nbird 7 8\n", "line 2: a line must hold a word and 3 numbers, got 'bird 7 8'"),
        (read_glove, "the 1 2 3\n\n", "line 2: a line must hold a word and 3 numbers, got ''"),
        (read_glove, "the 1 2 3\ncat 7 x 9\n", "line 2: a vector must hold finite numbers, got 'x'"),
        (read_glove, "the 1 2 3\ncat 7 1_0 9\n", "line 2: a vector must hold finite numbers, got '1_0'"),
        (read_glove, "the 1 x 3\n", "line 1: a vector must hold finite numbers, got 'x'"),
        (read_glove, "the 1 2 3\nbird 7 8 x 9\n", "line 2: a vector must hold finite numbers, got 'x'"),
        (read_glove, "the 1 2 3\ncat 7 nan 9\n", "line 2: a vector must hold finite numbers, got 'nan'"),
        (read_glove, "the 1 2 3\ncat 7 1e39 9\n", r"line 2: a vector must hold finite numbers, got 1e\+39"),
        (read_glove, "4 3\n" + glove(), "line 1: .* got '4 3', which word2vec's files begin with: use read_word2vec"),
        (
            read_glove,
            "the 1 2\ncat 7 8 9\n",
            "line 1: a vector must have as many numbers as in the next lines, got 2 and in line 2 3",
        ),
        (
            read_glove,
            "the 1 2\n" + "cat 7 8 9\n" * 30 + "dog 1 2\n",
            "line 1: a vector must have as many numbers as in the next lines, got 2 and in line 11 3",
        ),
        (
            read_word2vec_text,
            "4 2\n" + glove(),
            "line 1: a vector must have as many numbers as in the next lines, got 2 and in line 5 3",
        ),
        (read_glove, b"the 1 2 3\nc\xffat 7 8 9\n", "line 2: the word must be utf-8, got 'c.at 7 8 9'"),
        (read_glove, "", "line 1: a line must hold a word and its numbers, got an empty file"),
        (read_glove, "the\n", "line 1: a line must hold a word and its numbers, got 'the'"),
        (read_word2vec_text, "4 3\n" + glove()[:-8], "line 5: a line must hold a word and 3 numbers"),
        (read_word2vec_text, "5 3\n" + glove(), "line 6: 5 words must follow the first line, got 4"),
        (read_word2vec_text, "3 3\n" + glove(), "line 5: the file must end after 3 words, got more"),
        (read_word2vec_text, glove(), "line 1: the line must hold the number of words and of the numbers of each"),
        (read_word2vec_text, "", "line 1: the line must hold the number of words"),
        (read_word2vec_binary, binary()[:-6], "word 4: 4 words of 3 numbers must stand in the file, got its end"),
        (read_word2vec_binary, binary(header="5 3"), "word 5: 5 words of 3 numbers must stand in the file"),
        (read_word2vec_binary, binary(header="3 3"), "word 4: the file must end after 3 words, got more"),
        (read_word2vec_binary, binary({"dog": (1, np.inf, 2)}, header="1 3"), "word 1: a vector must .* got inf"),
        (read_word2vec_binary, binary(header="4 -3"), "line 1: the line must hold the number of words"),
        (read_word2vec_binary, "1 3\n" + "x" * 70_000, "word 1: 1 words of 3 numbers must stand in the file"),
    ],
)  # fmt: skip
def test_damaged_files_name_the_line_or_the_word(tmp_path: Path, read, content: str | bytes, rule: str) -> None:
    with pytest.raises(DataError, match=f"v, {rule}"):
        read(put(tmp_path / "v", content), VOCABULARY)


def test_packed_vectors_that_are_cut_off_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "v.gz"
    for read, content in (
        (read_glove, "".join(f"w{i} {rng.random()} {rng.random()} 1\n" for i in range(3000)).encode()),
        (read_word2vec_binary, binary({f"w{i}": tuple(rng.random(3)) for i in range(3000)}, header="3000 3")),
    ):
        path.write_bytes(gzip.compress(content)[:20_000])
        with pytest.raises(DataError, match=r"v\.gz, line \d+: the file must be readable to its end"):
            read(path, VOCABULARY)


@pytest.mark.parametrize("read", [read_glove, read_word2vec_text, read_word2vec_binary])
def test_a_file_that_is_not_there_is_said_not_to_exist(tmp_path: Path, read) -> None:
    with pytest.raises(DataError, match=r"v must be a file, got a path that does not exist$"):
        read(tmp_path / "v", VOCABULARY)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    line = " ".join(["0.25"] * 200)
    path = put(tmp_path / "v", "".join(f"w{i} {line}\n" for i in range(2000)))  # 2 MB
    tracemalloc.start()
    read_glove(path, VOCABULARY)
    assert tracemalloc.get_traced_memory()[1] < 300_000
    tracemalloc.stop()


def test_written_vectors_come_back_exactly(tmp_path: Path, rng: np.random.Generator) -> None:
    table = rng.standard_normal((5, 4)).astype(np.float32)
    write_word2vec_text(tmp_path / "v.txt", VOCABULARY, table)
    vectors = read_word2vec_text(tmp_path / "v.txt", VOCABULARY)
    np.testing.assert_array_equal(vectors.table, table)
    assert vectors.found.all()
    with pytest.raises(ValueError, match="words must not be empty or hold white space, got ' '"):
        write_word2vec_text(tmp_path / "v", build_vocabulary(" ", specials=Specials(None, None, None, None)), table[:1])
    with pytest.raises(ValueError, match=r"table must have a row for each of 5 words, got shape \[4, 4\]"):
        write_word2vec_text(tmp_path / "v", VOCABULARY, table[:4])
    with pytest.raises(ValueError, match=r"table must have from 1 to 65536 columns, got shape \[5, 0\]"):
        write_word2vec_text(tmp_path / "v", VOCABULARY, table[:, :0])
    with pytest.raises(ValueError, match=r"words must be utf-8, got '\\ud800'"):
        write_word2vec_text(tmp_path / "v", Vocabulary(("\ud800",), NO_SPECIALS), table[:1])
    for wrong in (np.nan, np.inf, 1e39):
        spoilt = table.astype(np.float64)
        spoilt[1, 2] = wrong
        with pytest.raises(ValueError, match=rf"finite in float32, got {re.escape(str(wrong))} for 'cat'"):
            write_word2vec_text(tmp_path / "v", VOCABULARY, spoilt)
    assert not (tmp_path / "v").exists()


def test_words_without_a_vector_begin_like_the_others(tmp_path: Path) -> None:
    many = build_vocabulary([f"w{i}" for i in range(4000)])
    rng = np.random.default_rng(1)
    rows = {f"w{i}": tuple(rng.normal((5, -1, 0), (2, 0.5, 0))) for i in range(2000)}
    vectors = read_glove(put(tmp_path / "v", glove(rows)), many)
    table = embedding_table(vectors, filler=many.pad)
    np.testing.assert_array_equal(table[vectors.found], vectors.table[vectors.found])
    assert (table[many.pad] == 0).all()
    drawn = table[2004:]
    np.testing.assert_allclose(drawn.mean(axis=0), [5, -1, 0], atol=0.15)
    np.testing.assert_allclose(drawn.std(axis=0), [2, 0.5, 0], atol=0.1)
    np.testing.assert_array_equal(table, embedding_table(vectors, filler=many.pad))
    assert (table[2004:] != embedding_table(vectors, seed=1)[2004:]).any()
    none = embedding_table(read_glove(put(tmp_path / "v", "x 1 2\n"), many))
    assert abs(none.std() - 0.1) < 0.01
