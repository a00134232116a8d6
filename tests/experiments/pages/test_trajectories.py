from pathlib import Path

import matplotlib.image
import pytest
from matplotlib.figure import Figure

from tests.experiments.support import Command, sentence

pytestmark = pytest.mark.slow  # pages of the documentation, which change seldom


@pytest.fixture(autouse=True)
def page(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page drawn in no time; tests/plots looks at the real one."""
    monkeypatch.setattr("fjdl.plots.pages.trajectories.optimizer_panels", lambda: Figure(figsize=(2, 1)))


def test_the_page_is_written_where_asked(tmp_path: Path, command: Command) -> None:
    path = tmp_path / "pictures" / "optimizers.png"
    outcome = command("pages.trajectories", "--out", path)
    assert (outcome.status, outcome.out) == (0, f"{path}\n")
    assert matplotlib.image.imread(path).shape == (150, 300, 4)


def test_another_suffix_is_one_sentence(tmp_path: Path, command: Command) -> None:
    outcome = command("pages.trajectories", "--out", tmp_path / "a.pdf")
    assert outcome.status == 2
    assert "path must end in .png" in sentence(outcome)
