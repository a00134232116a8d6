from pathlib import Path

import matplotlib.image
import pytest

from tests.experiments.support import Command, sentence

pytestmark = pytest.mark.slow  # pages of the documentation, which change seldom


def test_the_page_of_activations_is_written_where_asked(tmp_path: Path, command: Command) -> None:
    path = tmp_path / "pictures" / "activations.png"
    outcome = command("pages.gallery", "activations", "--out", path)
    assert (outcome.status, outcome.out) == (0, f"{path}\n")
    pixels = matplotlib.image.imread(path)
    assert min(pixels.shape[:2]) > 1000
    assert pixels[..., :3].std() > 0.05


@pytest.mark.parametrize("arguments", [("nothing", "--out", "a.png"), ("activations",)])
def test_a_page_that_does_not_exist_and_a_missing_file_name_are_refused(
    arguments: tuple[str, ...], command: Command
) -> None:
    assert command("pages.gallery", *arguments).status == 2


def test_another_suffix_is_one_sentence(tmp_path: Path, command: Command) -> None:
    outcome = command("pages.gallery", "activations", "--out", tmp_path / "a.pdf")
    assert outcome.status == 2
    assert "path must end in .png" in sentence(outcome)
