"""Runs that are kept in a bucket, with a command of Google's that keeps its buckets in a local folder."""

import os
import shutil
import time
from pathlib import Path

import pytest

from experiments.mirror import fetch, mirrored, require_local
from fjdl.errors import StorageError, UsageError
from tests.experiments.support import Command

PLACE = "gs://my-runs/runs/digits"
GCLOUD = """#!/bin/sh
echo "$@" >> "{folder}/calls"
[ -e "{folder}/broken" ] && {{ echo "ERROR: (gcloud.storage) HTTPError 403: no access" >&2; exit 1; }}
here() {{ case "$1" in gs://*) echo "{folder}/${{1#gs://}}";; *) echo "$1";; esac; }}
shift
if [ "$1" = ls ]; then
  [ -d "$(here "$2")" ] && exit 0
  echo "ERROR: (gcloud.storage.ls) One or more URLs matched no objects." >&2; exit 1
fi
shift; shift
if [ "$1" = --delete-unmatched-destination-objects ]; then shift; rm -rf "$(here "$2")"; fi
mkdir -p "$(here "$2")" && cp -a "$(here "$1")/." "$(here "$2")"
"""


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the place, with a `gcloud` that copies from and to it."""
    folder = tmp_path / "cloud"
    (folder / "bin").mkdir(parents=True)
    command = folder / "bin" / "gcloud"
    command.write_text(GCLOUD.format(folder=folder))
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    return folder / "my-runs/runs/digits"


def test_a_run_is_copied_as_it_goes_and_at_the_end(bucket: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    with mirrored(run, PLACE, every=0.02):
        assert not bucket.exists()
        run.mkdir()
        (run / "metrics.jsonl").write_text("one\n")
        (run / "old").touch()
        for _ in range(500):
            if (bucket / "old").exists():
                break
            time.sleep(0.01)
        assert (bucket / "metrics.jsonl").read_text() == "one\n"
        (run / "old").unlink()
        (run / "metrics.jsonl").write_text("one\ntwo\n")
    assert (bucket / "metrics.jsonl").read_text() == "one\ntwo\n"
    assert not (bucket / "old").exists()


def test_a_run_comes_back_where_there_is_none_and_a_local_one_is_kept(bucket: Path, tmp_path: Path) -> None:
    bucket.mkdir(parents=True)
    (bucket / "result.json").write_text("of the bucket")
    run = tmp_path / "run"
    with mirrored(run, PLACE):
        assert (run / "result.json").read_text() == "of the bucket"
        (run / "result.json").write_text("of this machine")
    with mirrored(run, PLACE):
        assert (run / "result.json").read_text() == "of this machine"
    assert (bucket / "result.json").read_text() == "of this machine"


def test_a_failure_of_the_training_is_its_own_and_the_run_is_copied(bucket: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"

    def interrupted() -> None:
        with mirrored(run, PLACE):
            run.mkdir()
            (run / "paused").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (bucket / "paused").exists()


def test_a_bucket_that_cannot_be_reached_is_told(
    bucket: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken, run = bucket.parents[2] / "broken", tmp_path / "run"
    broken.touch()
    with pytest.raises(StorageError, match=f"{PLACE} could not be read: .* 403: no access"), mirrored(run, PLACE):
        raise AssertionError("nothing is trained")
    run.mkdir()
    copied = mirrored(run, PLACE, every=0.02)
    with pytest.raises(StorageError, match=f"run could not be copied to {PLACE}: .* no access"), copied:
        time.sleep(0.2)
    assert capsys.readouterr().err.count("warning: ") == 1


def test_places_that_are_no_folder_of_a_bucket_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("s3://my-runs/runs/digits", "gs://my-runs", "runs/digits"):
        refused = pytest.raises(UsageError, match=f"bucket must be a folder of a bucket such as .*, got {place}")
        with refused, mirrored(tmp_path, place):
            raise AssertionError("nothing is trained")
    with pytest.raises(UsageError, match="run_dir must be a local folder, got gs:/my-runs/digits; --bucket keeps"):
        require_local(Path("gs://my-runs/digits"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StorageError, match="gcloud is needed to keep a run in a bucket"):
        fetch(PLACE, tmp_path / "run")


@pytest.mark.by_day_on_pin(1)
def test_a_training_whose_machine_is_gone_goes_on_from_its_bucket(
    bucket: Path, tmp_path: Path, command: Command
) -> None:
    words = [
        "train",
        "configs/iris_logistic.py",
        "--epochs",
        "2",
        "--run-dir",
        str(tmp_path / "run"),
        "--bucket",
        PLACE,
    ]
    assert command(*words).status == 0
    assert (bucket / "result.json").exists()
    shutil.rmtree(tmp_path / "run")
    again = command(*words)
    assert again.status == 0
    assert "is finished, nothing to do" in again.out
