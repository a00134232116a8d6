import os
from pathlib import Path
from typing import Any

import pytest

from fjdl.errors import StorageError
from fjdl.files import replacing, write_atomically


def test_an_interrupted_replacement_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "result.json"
    write_atomically(path, "old")

    def full(_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"result\.json cannot be written: No space left on device"):
        write_atomically(path, "new")
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("result.json", "old")]


def test_a_block_that_fails_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    path = tmp_path / "figure.png"
    with replacing(path) as part:
        part.write_bytes(b"old")
    assert path.read_bytes() == b"old"

    def draw() -> None:
        with replacing(path) as part:
            part.write_bytes(b"half")
            raise RuntimeError("drawing")

    with pytest.raises(RuntimeError, match="drawing"):
        draw()
    assert [(found.name, found.read_bytes()) for found in tmp_path.iterdir()] == [("figure.png", b"old")]
