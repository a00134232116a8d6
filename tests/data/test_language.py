"""Texts for language models: the official files, small ones in their form, damaged ones, and made-up ones."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fjdl.data import language
from fjdl.data.blank import blank_data
from fjdl.data.source import to_arrays
from fjdl.data.text import TextSplits
from fjdl.errors import DataError
from tests.support import require_data

TEXTS = {
    "wiki.train.tokens": " \n = Tîtle = \n \n a b <unk> . \n",
    "wiki.valid.tokens": " b a \n",
    "wiki.test.tokens": " a \n",
}
MEMBERS = {
    name: (len(text.encode()), hashlib.sha256(text.encode()).hexdigest()) for name, text in TEXTS.items()
}  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_at_hand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The cache is empty, and nothing is downloaded."""
    monkeypatch.setenv("FJDL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("fjdl.data.files._download", lambda file, target: pytest.fail("a download was begun"))


def stream(splits: TextSplits, part: str) -> np.ndarray:
    """The numbers of the tokens of a part but the first, in order."""
    arrays = to_arrays(getattr(splits, part))
    return arrays["target"][np.arange(arrays["target"].shape[1]) < arrays["length"][:, None]]


def zipped(path: Path, texts: dict[str, str], *, folder: str = "wikitext-2/") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in texts.items():
            archive.writestr(folder + name, text)
    return path


def test_tiny_shakespeare_is_cut_into_90_5_and_5_percent() -> None:
    splits = language.tiny_shakespeare(data_dir=require_data("tinyshakespeare").parent, lanes=3)
    coder = splits.coders["tokens"]
    assert (len(coder.vocabulary), splits.classes) == (65, coder.vocabulary.tokens)
    parts = [coder.decode(stream(splits, part)) for part in ("train", "validation", "test")]
    text = (require_data("tinyshakespeare") / "input.txt").read_text()
    assert list(map(len, parts)) == [1_003_853, 55_769, 55_769]
    assert "F" + parts[0] + text[1_003_854] + parts[1] + text[1_059_624] + parts[2] == text
    assert splits.train.length == 3 * 2615


@pytest.mark.by_day_on_pin(0)
def test_wikitext2_has_the_published_counts() -> None:
    splits = language.wikitext2(
        data_dir=require_data("wikitext-2").parent, lanes=4, held_out_steps=70, held_out_lanes=10
    )
    assert splits.validation.length == 10 * -(-21_765 // 70)
    vocabulary = splits.coders["tokens"].vocabulary
    assert len(vocabulary) == language.WIKITEXT2_TYPES == len(splits.classes)
    assert vocabulary.tokens[:5] == ("<unk>", "the", ",", ".", "of")
    assert [stream(splits, part).size + 1 for part in ("train", "validation", "test")] == [2_088_628, 217_646, 245_569]
    counts = np.bincount(stream(splits, "train"), minlength=len(vocabulary))
    assert (counts[0], counts[1]) == (54_625, 113_161)
    assert counts[vocabulary.numbers["<eos>"]] == 36_718 - 1  # lines, of which the first one is no target


@pytest.mark.parametrize("form", ["wikitext-2-v1.zip", "wikitext-2.zip", "unpacked"])
def test_wikitext2_is_read_from_any_zip_and_unpacked(tmp_path: Path, form: str, monkeypatch) -> None:
    folder = tmp_path / "wikitext-2"
    folder.mkdir()
    if form == "unpacked":
        for name, text in TEXTS.items():
            (folder / name).write_text(text)
    else:
        zipped(folder / form, TEXTS)
    monkeypatch.setattr(language, "WIKITEXT2_MEMBERS", MEMBERS)
    for where in (tmp_path, folder):
        splits = language.wikitext2(data_dir=where, steps=3)
        assert splits.coders["tokens"].decode(stream(splits, "train")) == "= Tîtle =\n\na b <unk> .\n"
        assert splits.coders["tokens"].decode(stream(splits, "validation")) == "a\n"
    assert not (tmp_path / "cache").exists()


def test_pairs_of_wikitext2_stay_within_a_line_and_leave_unknown_words_out(tmp_path: Path, monkeypatch) -> None:
    zipped(tmp_path / "wikitext-2.zip", TEXTS)
    monkeypatch.setattr(language, "WIKITEXT2_MEMBERS", MEMBERS)
    splits = language.wikitext2_pairs(data_dir=tmp_path, threshold=1e9, minimum=1, window=1)
    words = splits.coders["center"].vocabulary
    found = to_arrays(splits.train)
    pairs = list(zip(words.decode(found["center"]), words.decode(found["context"]), strict=True))
    assert pairs == [
        ("=", "Tîtle"),
        ("Tîtle", "="),
        ("Tîtle", "="),
        ("=", "Tîtle"),
        ("a", "b"),
        ("b", "a"),
        ("b", "."),
        (".", "b"),
    ]
    assert words.decode(to_arrays(splits.validation)["center"]) == ["b", "a"]
    assert splits.test.length == 0
    thinned = language.wikitext2_pairs(data_dir=tmp_path, threshold=1e-9, minimum=1)
    assert thinned.train.length == 0


def test_wikitext2_that_is_damaged_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"

    def fault(texts: dict[str, str], keep: slice = slice(None)) -> str:
        zipped(path, texts)
        path.write_bytes(path.read_bytes()[keep])
        with pytest.raises(DataError) as caught:
            language.read_wikitext(path, MEMBERS)
        return str(caught.value)

    name = "wiki.valid.tokens"
    assert f"{name} must have 6 bytes, got more" in fault(TEXTS | {name: " b a b \n"})
    assert f"{name} must have 6 bytes, got 3" in fault(TEXTS | {name: " b\n"})
    assert f"{name} must have sha256 {MEMBERS[name][1]}, got " in fault(TEXTS | {name: " b b \n"})
    assert f"the archive must hold {name}, got no such member" in fault({k: v for k, v in TEXTS.items() if k != name})
    assert "the archive must be readable, got File is not a zip file" in fault(TEXTS, slice(0, 100))
    zipped(path, TEXTS)
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"a\.zip: "):
        language.read_wikitext(path, MEMBERS)
    with pytest.raises(DataError, match=r"wiki\.train\.tokens must be readable, got No such file"):
        language.read_wikitext(tmp_path, MEMBERS)
    latin = {name: (2, hashlib.sha256(b"\n\xe9").hexdigest()) for name in MEMBERS}
    (tmp_path / "wiki.train.tokens").write_bytes(b"\n\xe9")
    with pytest.raises(DataError, match=r"wiki\.train\.tokens, line 2: the text must be utf-8, got byte 0xe9"):
        language.read_wikitext(tmp_path, latin)


@pytest.mark.by_day_on_pin(1)
def test_made_up_texts_have_the_sizes_of_the_real_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FJDL_DATA_DIR", raising=False)
    with blank_data() as used:
        plays, articles = language.tiny_shakespeare(steps=100), language.wikitext2(steps=70)
    assert used == ["tinyshakespeare", "wikitext-2"]
    assert (len(plays.classes), len(articles.classes)) == (65, 33_278)
    sizes = [[stream(s, part).size + 1 for part in ("train", "validation", "test")] for s in (plays, articles)]
    assert sizes == [[1_003_854, 55_770, 55_770], [2_088_628, 217_646, 245_569]]


def test_official_files_have_their_hashes() -> None:
    for file in (language.SHAKESPEARE, language.WIKITEXT2):
        assert len(bytes.fromhex(file.sha256)) == 32
        assert all(url.startswith("https://") and url.endswith(f"/{file.name}") for url in file.urls)
