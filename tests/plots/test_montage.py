from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from fjdl.plots import montage, save


@pytest.mark.by_day_on_pin(1)
def test_montage_shows_every_picture(tmp_path: Path) -> None:
    for name, colour in (("a", "red"), ("b", "lime"), ("c", "blue")):
        save(Figure(figsize=(1, 1), facecolor=colour), tmp_path / f"{name}.png")
    montage([tmp_path / f"{name}.png" for name in "abc"], tmp_path / "all.png")
    pixels = imread(tmp_path / "all.png")[..., :3].reshape(-1, 3)
    for colour in np.eye(3):
        assert (np.abs(pixels - colour).max(axis=1) < 0.1).mean() > 0.05


def test_montage_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one picture, got none"):
        montage([], tmp_path / "all.png")
