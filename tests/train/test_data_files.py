import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fjdl.data.source import from_arrays
from fjdl.data.text import WORDS, Coder, TextSplits, build_vocabulary, load_vocabulary
from fjdl.errors import DataError
from fjdl.train.data_files import keep_files, require_files
from fjdl.train.rundir import RunDirectory
from tests.train.toy import splits


def texts(words: str) -> TextSplits:
    coder = Coder(WORDS, build_vocabulary(words.split()))
    source = from_arrays({"tokens": coder.encode(words)[None]})
    return TextSplits(name="words", train=source, validation=source, test=source, classes=(), coders={"tokens": coder})


def test_a_run_keeps_the_vocabulary_and_opens_with_no_other(tmp_path: Path) -> None:
    run, data = RunDirectory(path=tmp_path), texts("one two two")
    require_files(run, data)  # a run from before it kept them
    keep_files(run, data)
    kept = tmp_path / "data" / "tokens.json"
    assert load_vocabulary(kept) == data.coders["tokens"].vocabulary
    written = kept.stat().st_mtime_ns
    keep_files(run, texts("one two two"))
    assert kept.stat().st_mtime_ns == written
    for check in (keep_files, require_files):
        with pytest.raises(DataError, match=f"^{kept} must be what the data set words makes now, got another content"):
            check(run, texts("one one two"))
    np.testing.assert_equal(load_vocabulary(kept).tokens, data.coders["tokens"].vocabulary.tokens)


def test_what_is_left_out_is_listed_and_no_reason_to_refuse_a_run(tmp_path: Path) -> None:
    run = RunDirectory(path=tmp_path)
    for sentences in (("a.png is empty", "b.png is a folder"), ("/elsewhere/a.png is empty",)):
        keep_files(run, dataclasses.replace(splits(), left_out=sentences))
        assert (run.data / "left_out.txt").read_text().splitlines() == list(sentences)
    assert [path.name for path in run.data.iterdir()] == ["left_out.txt"]


def test_data_without_such_files_leave_nothing(tmp_path: Any) -> None:
    keep_files(RunDirectory(path=tmp_path), splits())
    assert not list(tmp_path.iterdir())
