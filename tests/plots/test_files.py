import threading
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from fjdl.errors import StorageError
from fjdl.plots import save


def figure() -> Figure:
    made = Figure(figsize=(2, 1))
    made.subplots().plot([0, 1], [1, 0])
    return made


def test_the_file_is_a_png_of_150_dots_per_inch_in_a_new_folder(tmp_path: Path) -> None:
    path = tmp_path / "run" / "plots" / "curves.png"
    save(figure(), path)
    with Image.open(path) as image:
        assert (image.format, image.size) == ("PNG", (300, 150))
    assert [entry.name for entry in path.parent.iterdir()] == ["curves.png"]


def test_a_string_is_a_path(tmp_path: Path) -> None:
    save(figure(), str(tmp_path / "a.png"))
    assert (tmp_path / "a.png").is_file()


def test_a_second_save_replaces_the_first(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"old")
    save(figure(), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_drawing_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Figure, path: Path, **options: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    (tmp_path / "a.png").write_bytes(b"old")
    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(StorageError, match=r"a\.png cannot be written: No space left on device"):
        save(figure(), tmp_path / "a.png")
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [("a.png", b"old")]


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "plots").write_bytes(b"")
    with pytest.raises(StorageError, match=r"a\.png cannot be written"):
        save(figure(), tmp_path / "plots" / "a.png")


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"path must end in \.png, got .*a\.pdf"):
        save(figure(), tmp_path / "a.pdf")


def test_figures_can_be_saved_from_another_thread(tmp_path: Path) -> None:
    thread = threading.Thread(target=save, args=(figure(), tmp_path / "a.png"))
    thread.start()
    thread.join()
    assert (tmp_path / "a.png").is_file()
