"""Figures of what was trained and measured, as matplotlib `Figure` objects that no window or global state holds."""

from fjdl.plots.confusion import confusion_matrix_figure
from fjdl.plots.curves import learning_curves
from fjdl.plots.files import save
from fjdl.plots.filters import filter_grid
from fjdl.plots.mistakes import mistakes
from fjdl.plots.montage import montage

__all__ = ["confusion_matrix_figure", "filter_grid", "learning_curves", "mistakes", "montage", "save"]


def __dir__() -> list[str]:
    return __all__
