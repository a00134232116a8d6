"""Dates and captions: the official files, small ones in their form, damaged ones, and made-up ones."""

import gzip
import re
from pathlib import Path

import numpy as np
import pytest

from fjdl.data import translation
from fjdl.data.blank import blank_data
from fjdl.data.source import to_arrays
from fjdl.errors import DataError
from tests.support import require_data

CAPTIONS = {
    "train.en.gz": "A dog runs.\nA cat\n", "train.de.gz": "Ein Hund läuft.\nEine Katze\n",
    "val.en.gz": "A dog\n", "val.de.gz": "Ein Hund\n",
    "test_2016_flickr.en.gz": "Two cats\n", "test_2016_flickr.de.gz": "Zwei Katzen\n",
}  # fmt: skip


def captions(folder: Path, monkeypatch: pytest.MonkeyPatch, **texts: str) -> None:
    """Puts small files in the place of the official ones; names have underscores here."""
    changed = {name: texts.get(name.replace(".", "_"), text) for name, text in CAPTIONS.items()}
    for name, text in changed.items():
        (folder / name).write_bytes(gzip.compress(text.encode()))
    monkeypatch.setattr(translation, "find_or_download", lambda _, file, data_dir: folder / file.name)


@pytest.mark.by_day_on_pin(0)
def test_dates_of_one_part_are_in_no_other_part() -> None:
    splits = translation.dates(data_dir=require_data("dates").parent)
    parts = [to_arrays(part) for part in (splits.train, splits.validation, splits.test)]
    assert [part["source"].shape for part in parts] == [(37_578, 29), (2_000, 29), (2_000, 29)]
    sources = [{*map(bytes, part["source"])} for part in parts]
    assert [len(found) for found in sources] == [37_578, 2_000, 2_000]
    assert len(sources[0] | sources[1] | sources[2]) == 41_578
    target = splits.coders["target"]
    for part in parts:
        assert (part["target_length"] == 12).all()
        assert part["source_length"].max() <= 29
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", target.decode(part["target"][7]))
    assert (parts[0]["target"][:, 0] == target.vocabulary.bos).all()
    assert (parts[0]["target"][:, -1] == target.vocabulary.eos).all()


def test_dates_are_read_once_each_and_without_padding(tmp_path: Path) -> None:
    path = tmp_path / "date.txt"
    path.write_text("may 3, 1999     _1999-05-03\n5/3/99          _1999-05-03\nmay 3, 1999     _1999-05-03\n")
    assert translation.read_dates(path) == (["may 3, 1999", "5/3/99"], ["1999-05-03", "1999-05-03"])
    for line in ("may 3, 1999", "_1999-05-03", "may 3 _ "):
        path.write_text(f"5/3/99 _1999-05-03\n{line}\n")
        with pytest.raises(DataError, match="line 2: a line must hold a date, `_` and its ISO form, got "):
            translation.read_dates(path)
    path.write_text("")
    with pytest.raises(DataError, match=r"date\.txt, line 1: a line must hold a date, .* got an empty file"):
        translation.read_dates(path)


@pytest.mark.parametrize(("validation", "test"), [(0, 1), (1, 0), (40_000, 1_578)])
def test_parts_of_dates_must_have_examples(validation: int, test: int) -> None:
    with blank_data(always=True), pytest.raises(ValueError, match="at least 1 and leave examples"):
        translation.dates(validation=validation, test=test)


@pytest.mark.by_day_on_pin(0)
def test_multi30k_has_its_official_parts() -> None:
    folder = require_data("multi30k").parent
    texts = translation.read_multi30k(data_dir=folder)
    assert {part: {name: len(lines) for name, lines in of.items()} for part, of in texts.items()} == {
        "train": {"en": 29_000, "de": 29_000}, "validation": {"en": 1_014, "de": 1_014},
        "test": {"en": 1_000, "de": 1_000},
    }  # fmt: skip
    assert texts["validation"]["en"][0] == "A group of men are loading cotton onto a truck"
    splits = translation.multi30k(data_dir=folder, source="de", target="en")
    assert (splits.train.length, splits.validation.length, splits.test.length) == (29_000, 1_014, 1_000)
    example = splits.validation.element(0)
    assert splits.coders["target"].decode(example["target"]) == "a group of men are loading cotton onto a truck"
    assert example["target_length"] == 12
    assert splits.coders["source"].vocabulary.tokens[4] == "."
    assert len(splits.classes) == len(splits.coders["target"].vocabulary) == 5_977


def test_captions_are_rows_with_their_lengths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captions(tmp_path, monkeypatch)
    splits = translation.multi30k(minimum=1, steps=6)
    source, target = (splits.coders[name].vocabulary for name in ("source", "target"))
    assert source.tokens[4:] == ("a", "dog", "runs", ".", "cat")
    train = to_arrays(splits.train)
    assert train["source"].tolist() == [[4, 5, 6, 7, 1, 1], [4, 8, 1, 1, 1, 1]]
    assert train["source_length"].tolist() == [4, 2]
    assert target.decode(train["target"][0]) == ["<bos>", "ein", "hund", "läuft", ".", "<eos>"]
    assert target.decode(train["target"][1]) == ["<bos>", "eine", "katze", "<eos>", "<pad>", "<pad>"]
    assert train["target_length"].tolist() == [6, 4]
    assert translation.longer_lengths(splits.train).tolist() == [6, 4]
    assert all(array.dtype == np.int32 for array in train.values())
    assert target.decode(splits.test.element(0)["target"]) == ["<bos>", "<unk>", "<unk>", "<eos>", "<pad>", "<pad>"]


def test_captions_in_byte_pairs_come_back_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tokenizers")
    captions(tmp_path, monkeypatch)
    splits = translation.multi30k_byte_pairs(size=270)
    assert splits.coders["source"] is splits.coders["target"]
    example = splits.test.element(0)
    assert splits.coders["target"].decode(example["target"]) == "Zwei Katzen"
    assert splits.coders["source"].decode(example["source"]) == "Two cats"


def test_damaged_captions_name_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    captions(tmp_path, monkeypatch, val_de_gz="Ein Hund\nEine Katze\n")
    with pytest.raises(DataError, match=r"val\.de\.gz, line 2: a line must have its partner in .*val\.en\.gz"):
        translation.multi30k()
    with pytest.raises(ValueError, match="source and target must be 'en' and 'de' or 'de' and 'en', got 'en' and 'fr'"):
        translation.multi30k(target="fr")


@pytest.mark.by_day_on_pin(0)
def test_made_up_pairs_have_the_sizes_of_the_real_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("FJDL_DATA_DIR", raising=False)
    monkeypatch.setenv("FJDL_CACHE_DIR", str(tmp_path))
    with blank_data() as used:
        days, photographs = translation.dates(), translation.multi30k()
    assert used == ["dates", "multi30k"]
    assert (days.train.length, days.validation.length, days.test.length) == (37_578, 2_000, 2_000)
    assert days.train.element(0)["target"].shape == (12,)
    assert (photographs.train.length, photographs.validation.length, photographs.test.length) == (29_000, 1_014, 1_000)


def test_every_official_file_has_a_mirror_and_a_hash() -> None:
    files = [translation.DATES, *(file for part in translation.MULTI30K_FILES.values() for file in part.values())]
    for file in files:
        assert all(url.startswith("https://") and url.endswith(f"/{file.name}") for url in file.urls)
        assert len(bytes.fromhex(file.sha256)) == 32
