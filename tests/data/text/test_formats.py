"""Files of text as their publishers write them, good and damaged; each fault names its line."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from fjdl.data.text import iterate_lines, read_csv, read_labelled_lines, read_lines, read_parallel, read_text, read_tsv
from fjdl.errors import DataError
from tests.support import require_data


def written(path: Path, content: bytes | str) -> Path:
    data = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz"])
def test_lines_end_at_newlines_alone(tmp_path: Path, name: str) -> None:
    text = "one\r\n\ntwo\x85\u2028three\x0b\nlast"
    path = written(tmp_path / name, "\ufeff" + text)
    assert read_lines(path) == ["one", "", "two\x85\u2028three\x0b", "last"]
    assert list(iterate_lines(path)) == read_lines(path)
    assert read_text(path) == text
    assert read_lines(written(path, "a\n")) == ["a"]
    assert read_lines(written(path, "")) == []
    assert read_text(written(path, "")) == ""


def test_encodings_are_stated_and_faults_of_them_have_a_line(tmp_path: Path) -> None:
    path = written(tmp_path / "a", "ein\ncafé\n".encode("iso-8859-1"))
    assert read_lines(path, encoding="iso-8859-1") == ["ein", "café"]
    for read in (read_lines, read_text):
        with pytest.raises(DataError, match=r"a, line 2: the text must be utf-8, got byte 0xe9 at column 4"):
            read(path)
    for encoding in ("utf-16", "nonsense"):
        with pytest.raises(ValueError, match=f"encoding must be a known one .*, got '{encoding}'"):
            read_lines(path, encoding=encoding)


def test_packed_files_that_are_cut_off_or_damaged_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    rng = np.random.default_rng(0)
    whole = gzip.compress("".join(f"line {rng.integers(10**9)}\n" for _ in range(30_000)).encode())
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        DataError, match=r"a\.gz, line \d{4,}: the file must be readable to its end, got Compressed file"
    ):
        read_lines(path)
    path.write_bytes(whole[:-8] + bytes(8))
    with pytest.raises(DataError, match=r"a\.gz, line \d+: the file must be readable to its end, got CRC check failed"):
        read_lines(path)
    path.write_bytes(b"plain text\n")
    with pytest.raises(DataError, match=r"a\.gz, line 1: .* got Not a gzipped file"):
        read_lines(path)


def test_what_is_larger_than_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.gz", "12345\n12345\n")
    assert len(read_text(path, limit=12)) == 12
    with pytest.raises(DataError, match=r"line 2: the text must have at most 11 bytes, got more"):
        read_text(path, limit=11)
    monkeypatch.setattr("fjdl.data.text.lines.LONGEST", 5)
    with pytest.raises(DataError, match=r"line 1: a line must have at most 5 bytes, got more"):
        read_lines(path)


def test_a_label_ends_at_the_first_space(tmp_path: Path) -> None:
    path = written(tmp_path / "t.label", "DESC:manner How did it ?\nNUM:date When ?\nDESC:def  What\tis it ?\n")
    fine = read_labelled_lines(path)
    assert fine.classes == ("DESC:def", "DESC:manner", "NUM:date")
    assert (fine.labels.tolist(), fine.labels.dtype) == ([1, 2, 0], np.int32)
    assert fine.texts == ["How did it ?", "When ?", " What\tis it ?"]
    coarse = read_labelled_lines(path, classes=("NUM", "DESC", "HUM"), label=lambda name: name.split(":")[0])
    assert (coarse.classes, coarse.labels.tolist()) == (("NUM", "DESC", "HUM"), [1, 0, 1])
    assert read_labelled_lines(written(path, "1\tgood film\n0 bad\n")).texts == ["good film", "bad"]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("1 good\nnotext\n", "line 2: a line must hold a label, a space and a text, got 'notext'"),
        ("1 good\n\n0bad\n", "line 3: a line must hold a label, a space and a text, got '0bad'"),
        ("\n \n", "line 1: a line must hold a label and a text, got an empty file"),
        ("1 good\n a film\n", "line 2: a line must hold a label, a space and a text, got ' a film'"),
        ("1 good\n0 \n", "line 2: a line must hold a label, a space and a text, got '0 '"),
        ("1 good\n0 bad\n2 odd\n", "line 3: the label must be one of 0, 1, got '2'"),
        ("", "line 1: a line must hold a label and a text, got an empty file"),
        (b"1 good\n0 b\xffd\n", "line 2: the text must be utf-8, got byte 0xff at column 4"),
    ],
)
def test_faults_of_labelled_lines_name_the_line(tmp_path: Path, content: str | bytes, rule: str) -> None:
    path = written(tmp_path / "x.gz", content)
    with pytest.raises(DataError, match=f"x.gz, {rule}"):
        read_labelled_lines(path, classes=("0", "1"))


def test_a_table_has_its_columns_by_name(tmp_path: Path) -> None:
    rows = [["label", "title", "text"], ["1", 'says "hi", twice', "two\nlines"], ["2", "", "é"]]
    path = tmp_path / "a.csv"
    with open(path, "w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    table = read_csv(path)
    assert table == {"label": ["1", "2"], "title": ['says "hi", twice', ""], "text": ["two\nlines", "é"]}
    assert read_csv(path, columns=["text", "label"]) == {"text": table["text"], "label": table["label"]}
    assert read_csv(path, names=["a", "b", "c"], columns=["a"]) == {"a": ["label", "1", "2"]}
    tsv = written(tmp_path / "a.tsv.gz", 'sentence\tlabel\na "quoted part\t0\nb, c\t1\n')
    assert read_tsv(tsv) == {"sentence": ['a "quoted part', "b, c"], "label": ["0", "1"]}


@pytest.mark.parametrize(
    ("content", "options", "rule"),
    [
        ("a,b\n1,2\n3\n", {}, "line 3: a row must have 2 fields, got 1"),
        ('a,b\n"x\ny",2\n3,4,5\n', {}, "line 4: a row must have 2 fields, got 3"),
        ('a,b\n1,"open\n', {}, "line 2: the row must be comma-separated, got unexpected end of data"),
        ('a,b\n1,"x"y\n', {}, "line 2: the row must be comma-separated"),
        ("a,b\n1,2\n", {"columns": ["c"]}, "line 1: the table must have a column 'c', got a, b"),
        ("a,a\n1,2\n", {}, "line 1: the columns must have names of their own"),
        ("", {}, "line 1: the line must name the columns, got an empty file"),
        ("\n", {}, "line 1: the line must name the columns, got an empty file"),
        ("", {"names": ["a", "b"]}, "line 1: the table must have a row, got an empty file"),
        ("a,b\n", {}, "line 2: the table must have a row, got the end of the file"),
        ("a,b\n1,2\n\n3\n", {}, "line 4: a row must have 2 fields, got 1"),
    ],
)
def test_faults_of_tables_name_the_line(tmp_path: Path, content: str, options, rule: str) -> None:
    with pytest.raises(DataError, match=f"t.csv, {rule}"):
        read_csv(written(tmp_path / "t.csv", content), **options)
    if '"' not in content:
        with pytest.raises(DataError, match=f"t.tsv, {rule}"):
            read_tsv(written(tmp_path / "t.tsv", content.replace(",", "\t")), **options)


def test_parallel_files_have_equal_numbers_of_lines(tmp_path: Path) -> None:
    en = written(tmp_path / "t.en.gz", "a dog\na cat\n")
    de = written(tmp_path / "t.de", "ein Hund\neine Katze")
    assert read_parallel({"en": en, "de": de}) == {"en": ["a dog", "a cat"], "de": ["ein Hund", "eine Katze"]}
    written(de, "ein Hund\n")
    with pytest.raises(
        DataError, match=r"t\.en\.gz, line 2: a line must have its partner in .*t\.de, got 2 lines and 1"
    ):
        read_parallel({"en": en, "de": de})
    assert read_parallel({}) == {}
    with pytest.raises(DataError, match=r"t\.en\.gz, line 1: a file must hold a line, got an empty file"):
        read_parallel({"en": written(en, ""), "de": written(de, "")})


def test_blank_lines_are_left_out_where_they_can_be_no_data(tmp_path: Path) -> None:
    assert read_csv(written(tmp_path / "a", '\na,b\n\n1,"2\n\n3"\n\n\n')) == {"a": ["1"], "b": ["2\n\n3"]}
    assert read_csv(written(tmp_path / "a", 'a\n\n""\n1\n\n')) == {"a": ["", "1"]}
    assert read_tsv(written(tmp_path / "a", "a\tb\n\n1\t2\n\n")) == {"a": ["1"], "b": ["2"]}
    assert read_tsv(written(tmp_path / "a", "a\n\n1\n")) == {"a": ["", "1"]}
    lines = read_labelled_lines(written(tmp_path / "a", "1 good\n\n0 bad\n \n"))
    assert (lines.texts, lines.labels.tolist()) == (["good", "bad"], [1, 0])


def test_a_field_may_be_as_long_as_a_line_and_the_limit_of_the_process_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = csv.field_size_limit()
    long = "x" * (before + 1)
    assert read_csv(written(tmp_path / "a.csv", f'a,b\n1,"{long}"\n')) == {"a": ["1"], "b": [long]}
    monkeypatch.setattr("fjdl.data.text.formats.LONGEST", before)
    with pytest.raises(DataError, match=rf"a\.csv, line 2: a field must have at most {before} characters, got more"):
        read_csv(tmp_path / "a.csv")
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("read", [read_lines, read_text, read_csv, read_tsv, read_labelled_lines])
def test_a_file_that_is_not_there_is_said_not_to_exist(tmp_path: Path, read) -> None:
    for name in ("a.txt", "a.txt.gz"):
        with pytest.raises(DataError, match=rf"{name} must be a file, got a path that does not exist$"):
            read(tmp_path / name)
    with pytest.raises(DataError, match="line 1: the file must be readable to its end, got Is a directory"):
        read(tmp_path)


def test_the_official_test_file_of_ag_news_is_a_table_of_four_times_1900_texts() -> None:
    table = read_csv(require_data("ag_news") / "test.csv", names=("class", "title", "text"), columns=("class", "text"))
    assert np.unique(table["class"], return_counts=True)[1].tolist() == [1900] * 4
    assert table["text"][0].startswith("Unions representing workers at Turner   Newall say they are 'disappointed'")
    assert min(map(len, table["text"])) > 0
