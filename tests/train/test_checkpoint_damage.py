"""A checkpoint that is damaged, or lacks bytes, is detected by the name of the file."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

from fjdl.errors import CheckpointError
from fjdl.train import checkpoint
from fjdl.tree import names
from tests.train.trees import all_files, assert_identical, rich, small


def test_a_flipped_bit_anywhere_in_any_file_is_detected_by_name(tmp_path: Path) -> None:
    directory = checkpoint.save(tmp_path, 3, rich())
    rng = np.random.default_rng(0)
    for path in all_files(directory):
        original = path.read_bytes()
        for position in {0, len(original) - 1, *rng.integers(len(original), size=20).tolist()} if original else ():
            damaged = bytearray(original)
            damaged[position] ^= 1 << int(rng.integers(8))
            path.write_bytes(damaged)
            with pytest.raises(CheckpointError, match=path.name):
                checkpoint.verify(directory)
        path.write_bytes(original)
    checkpoint.verify(directory)


def test_a_truncated_emptied_missing_or_extra_file_is_detected_by_name(tmp_path: Path) -> None:
    directory = checkpoint.save(tmp_path, 3, small())
    for path in all_files(directory):
        original = path.read_bytes()
        for content in (original[:-1], b"", original + b"\0"):
            path.write_bytes(content)
            if content != original:
                with pytest.raises(CheckpointError, match=path.name):
                    checkpoint.verify(directory)
        path.unlink()
        with pytest.raises(CheckpointError, match=path.name):
            checkpoint.verify(directory)
        path.write_bytes(original)
    (directory / "arrays" / "stray").touch()
    with pytest.raises(CheckpointError, match="stray does not belong"):
        checkpoint.verify(directory)


def test_a_checkpoint_without_the_bytes_of_an_array_never_verifies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_arrays = checkpoint.save_arrays
    monkeypatch.setattr(checkpoint, "save_arrays", lambda path, arrays: save_arrays(path, arrays[:-1]))
    step, last = checkpoint.save(tmp_path, 1, rich()), names(rich())[-1]
    with pytest.raises(CheckpointError, match=f"^{step} lacks bytes of 1 arrays, the first of which is {last}$"):
        checkpoint.verify(step)


def test_a_checkpoint_whose_manifest_was_made_without_a_file_does_not_verify_or_has_every_array(tmp_path: Path) -> None:
    whole, outcomes = checkpoint.save(tmp_path / "whole", 1, small()), []
    for number, file in enumerate(path for path in all_files(whole) if path.name != "manifest.json"):
        step = tmp_path / str(number) / "1"
        shutil.copytree(whole, step)
        (step / file.relative_to(whole)).unlink()
        manifest = json.loads((step / "manifest.json").read_text())
        del manifest["sha256"], manifest["files"][file.relative_to(whole).as_posix()]
        (step / "manifest.json").write_bytes(checkpoint._seal(manifest))
        try:
            checkpoint.verify(step)
        except CheckpointError:
            outcomes.append("refused")
        else:
            assert_identical(checkpoint.restore(step.parent, small(), step=1), small())
            outcomes.append("whole")
    assert outcomes.count("refused") >= 2


def test_another_process_than_the_first_does_not_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    with pytest.raises(ValueError, match="save must be called on process 0, whose files are whole, got process 1"):
        checkpoint.save(tmp_path / "root", 1, small())
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize("content", [b"17", b"[]", b"{}", b"null", b"{", b"\xff", b"[" * 100_000])
def test_a_manifest_that_is_none_is_detected_by_name(content: bytes, tmp_path: Path) -> None:
    manifest = checkpoint.save(tmp_path, 3, small()) / "manifest.json"
    manifest.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"^{manifest} cannot be read"):
        checkpoint.verify(manifest.parent)
