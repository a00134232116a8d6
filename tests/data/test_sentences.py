"""SST-2 and TREC: the official files, small ones in their form, damaged ones, and made-up ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fjdl.data import sentences
from fjdl.data.blank import blank_data
from fjdl.data.source import to_arrays
from fjdl.data.text import character_ngrams, hash_features
from fjdl.errors import DataError
from tests.support import require_data

SST2 = {
    "stsa.binary.train": "1 a good , good film\n0 a bad film\n",
    "stsa.binary.dev": "0 an odd film\n",
    "stsa.binary.test": "1 film\n1 good\n",
}
TREC = {
    "train_5500.label": "DESC:manner How did a café open ?\nNUM:date When ?\nHUM:ind Who is it ?\nNUM:dist How far ?\n",
    "TREC_10.label": "LOC:city Where ?\n",
}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, str]], None]:
    """Puts small files in the place of the official ones."""

    def put(texts: dict[str, str]) -> None:
        for name, text in texts.items():
            (tmp_path / name).write_bytes(text.encode("iso-8859-1"))
        monkeypatch.setattr(sentences, "find_or_download", lambda folder, file, data_dir: tmp_path / file.name)

    return put


def test_sst2_has_the_published_counts_and_the_words_of_its_training_part() -> None:
    splits = sentences.sst2(data_dir=require_data("sst2").parent)
    parts = [to_arrays(part) for part in (splits.train, splits.validation, splits.test)]
    assert [np.bincount(part["label"]).tolist() for part in parts] == [[3310, 3610], [428, 444], [912, 909]]
    assert max(part["length"].max() for part in parts) == parts[2]["length"].max() == 56
    assert parts[0]["tokens"].shape == (6920, 56)
    coder = splits.coders["tokens"]
    assert coder.decode(parts[1]["tokens"][0]) == "one long string of cliches ."
    assert len(coder.vocabulary) == sentences.SST2_WORDS
    assert not (parts[0]["tokens"][np.arange(56) < parts[0]["length"][:, None]] == coder.vocabulary.unk).any()


@pytest.mark.slow  # by day the config that reads them is traced
def test_ngrams_of_sst2_fit_their_rows() -> None:
    splits = sentences.sst2_ngrams(data_dir=require_data("sst2").parent)
    parts = [to_arrays(part) for part in (splits.train, splits.validation, splits.test)]
    assert [np.bincount(part["label"]).tolist() for part in parts] == [[3310, 3610], [428, 444], [912, 909]]
    for part in parts:
        assert part["length"].max() <= sentences.SST2_FEATURES
        norms = np.linalg.norm(part["weights"], axis=1)
        assert np.count_nonzero(np.abs(norms - 2**0.5) > 1e-3) <= 2  # a text without a known feature of one kind
    assert parts[0]["length"].max() > sentences.SST2_FEATURES - 32


@pytest.mark.parametrize(
    ("load", "counts"), [(sentences.trec, [86, 1162, 1250, 1223, 835, 896]), (sentences.trec_fine, None)]
)
def test_trec_has_the_published_counts(load, counts: list[int] | None) -> None:
    splits = load(data_dir=require_data("trec").parent)
    parts = [to_arrays(part) for part in (splits.train, splits.validation, splits.test)]
    assert [part["label"].size for part in parts] == [4907, 545, 500]
    labels = np.concatenate([parts[0]["label"], parts[1]["label"]])
    assert (np.bincount(labels) > 0).all()
    assert len(splits.classes) == np.bincount(labels).size == (50 if counts is None else 6)
    assert counts is None or np.bincount(labels).tolist() == counts
    assert len(splits.coders["tokens"].vocabulary) == sentences.TREC_WORDS
    assert splits.coders["tokens"].decode(parts[2]["tokens"][0]).startswith("how far is it from denver to ")
    again = load(data_dir=require_data("trec").parent, split_seed=1)
    assert not np.array_equal(to_arrays(again.validation)["label"], parts[1]["label"])


def test_sentences_are_rows_with_a_length_and_a_label(files) -> None:
    files(SST2)
    splits = sentences.sst2(steps=4, minimum=2)
    assert splits.coders["tokens"].vocabulary.tokens == ("<unk>", "<pad>", "a", "good", "film")
    train = to_arrays(splits.train)
    assert {name: array.tolist() for name, array in train.items()} == {
        "tokens": [[2, 3, 0, 3], [2, 0, 4, 1]], "length": [4, 3], "label": [1, 0],
    }  # fmt: skip
    assert all(array.dtype == np.int32 for array in train.values())
    assert to_arrays(splits.test)["label"].tolist() == [1, 1]
    assert splits.classes == ("negative", "positive")


def test_sentences_are_sets_of_weighted_ngrams(files) -> None:
    files(SST2)
    splits = sentences.sst2_ngrams(buckets=2**20, steps=30)
    train, test = to_arrays(splits.train), to_arrays(splits.test)
    assert {name: (array.dtype, array.shape) for name, array in train.items()} == {
        "features": (np.int32, (2, 30)), "weights": (np.float32, (2, 30)), "length": (np.int32, (2,)),
        "label": (np.int32, (2,)),
    }  # fmt: skip
    film = hash_features(["film"], buckets=2**20)
    grams = np.unique(hash_features(character_ngrams("film"), buckets=2**20))
    assert test["features"][0, :16].tolist() == [*film, *(2**20 + grams)]
    np.testing.assert_allclose(test["weights"][0], [1.0] + [15**-0.5] * 15 + [0] * 14, rtol=1e-6)
    assert test["length"].tolist() == [16, 2]  # of the characters of "good" only the end is in two sentences
    cut = to_arrays(sentences.sst2_ngrams(buckets=2**20, steps=4).train)
    assert cut["length"].tolist() == [4, 4]
    np.testing.assert_array_equal(cut["features"], train["features"][:, :4])
    np.testing.assert_array_equal(cut["weights"], train["weights"][:, :4])


def test_questions_have_coarse_and_fine_classes_and_their_own_encoding(files) -> None:
    files(TREC)
    coarse, fine = sentences.trec(validation=1, steps=9), sentences.trec_fine(validation=1, steps=9)
    assert (coarse.train.length, coarse.validation.length, coarse.test.length) == (3, 1, 1)
    for splits, names in ((coarse, {"DESC", "NUM", "HUM"}), (fine, {"DESC:manner", "NUM:date", "HUM:ind", "NUM:dist"})):
        labels = [*to_arrays(splits.train)["label"], *to_arrays(splits.validation)["label"]]
        assert {splits.classes[label] for label in labels} == names
    words = {*coarse.coders["tokens"].vocabulary.tokens}
    assert "?" in words
    assert all(word == word.lower() for word in words)
    held_out = coarse.coders["tokens"].decode(coarse.validation.element(0)["tokens"])
    assert ("café" in words) != ("<unk>" in held_out and "did" not in words)  # of the training part alone
    for validation in (0, 4):
        with pytest.raises(ValueError, match=rf"validation must lie in \[1, 3\], got {validation}"):
            sentences.trec(validation=validation)


@pytest.mark.parametrize(
    ("load", "texts", "rule"),
    [
        (sentences.sst2, {"stsa.binary.dev": "0 bad\n2 odd\n"}, "dev, line 2: the label must be one of 0, 1, got '2'"),
        (sentences.sst2, {"stsa.binary.test": "0 bad\nfilm\n"}, "binary.test, line 2: a line must hold a label"),
        (sentences.trec, {"TREC_10.label": "ODD:x What ?\n"}, "TREC_10.label, line 1: the label must be one of ABBR"),
        (sentences.trec_fine, {"TREC_10.label": "NUM:x What ?\n"}, "line 1: the label must be one of ABBR:abb"),
    ],
)  # fmt: skip
def test_damaged_files_name_the_line(files, load, texts: dict[str, str], rule: str) -> None:
    files(SST2 | TREC | texts)
    with pytest.raises(DataError, match=rule):
        load()


def test_an_official_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    (tmp_path / "sst2").mkdir()
    (tmp_path / "sst2" / "stsa.binary.train").write_text("1 good\n")
    with pytest.raises(DataError, match=r"stsa\.binary\.train must have 738844 bytes, got 7; replace or remove it"):
        sentences.sst2(data_dir=tmp_path)


def test_made_up_sentences_have_the_sizes_of_the_real_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FJDL_DATA_DIR", raising=False)
    monkeypatch.setenv("FJDL_CACHE_DIR", str(tmp_path))
    with blank_data() as used:
        films, questions = sentences.sst2(), sentences.trec_fine()
    assert used == ["sst2", "trec"]
    assert (films.train.length, films.validation.length, films.test.length) == (6920, 872, 1821)
    assert (questions.train.length, questions.validation.length, questions.test.length) == (4907, 545, 500)
    assert films.train.element(0)["tokens"].shape == (56,)


def test_every_official_file_has_a_mirror_and_a_hash() -> None:
    for file in (*sentences.SST2_FILES, *sentences.TREC_FILES):
        assert all(url.startswith("https://") and url.endswith(f"/{file.name}") for url in file.urls)
        assert len(bytes.fromhex(file.sha256)) == 32
