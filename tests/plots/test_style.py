import subprocess
import sys

import matplotlib
import pytest
from matplotlib.colors import to_rgb

from fjdl.plots import learning_curves, style


def test_every_setting_is_one_that_matplotlib_knows() -> None:
    with matplotlib.rc_context(style.STYLE):
        assert matplotlib.rcParams["axes.spines.top"] is False
        assert matplotlib.rcParams["axes.prop_cycle"].by_key()["color"][0] == style.VERMILION


def test_drawing_leaves_the_global_settings_as_they_were() -> None:
    before = dict(matplotlib.rcParams)
    learning_curves([{"step": 1, "train_loss": 0.5}], title="")
    assert dict(matplotlib.rcParams) == before


@pytest.mark.by_day_on_pin(0)
def test_no_figure_touches_pyplot() -> None:
    program = """
import sys
import numpy as np
from fjdl import plots
plots.learning_curves([{"step": 1, "train_loss": 0.5}], title="")
plots.confusion_matrix_figure(np.eye(2), classes=["a", "b"], title="")
plots.filter_grid(np.ones((3, 3, 1, 2)), title="")
plots.mistakes(np.ones((1, 2, 2, 1)), np.array([0]), np.array([1]), np.ones(1), classes=["a", "b"], title="")
sys.exit("matplotlib.pyplot" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("kind", ["protanopia", "deuteranopia"])
def test_training_and_validation_differ_for_colour_blind_readers(kind: str) -> None:
    # Viénot, Brettel & Mollon 1999: both dichromats see red and green as one channel; blue remains.
    def seen(colour: str) -> tuple[float, float]:
        red, green, blue = (channel**2.2 for channel in to_rgb(colour))
        weight = 0.11238 if kind == "protanopia" else 0.29275
        return weight * red + (1 - weight) * green, blue

    training, validation = seen(style.BLUE), seen(style.VERMILION)
    assert max(abs(a - b) for a, b in zip(training, validation, strict=True)) > 0.25
