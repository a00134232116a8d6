"""Figures of what was trained and measured, as matplotlib `Figure` objects that no window or global state holds.

One figure a file: learning curves, confusion matrix, first-layer filters, mistakes, closeness of words. `pages` has the
figures of the documentation. May import every floor below 5.

>>> from fjdl.plots.curves import learning_curves
>>> records = [{"step": n, "train_loss": 1 / n, "validation_loss": 2 / n} for n in (1, 2, 4)]
>>> figure = learning_curves(records, title="a short run", best_step=4)
>>> figure.axes[0].get_xlabel()
'step'
"""

from fjdl.plots.attention import attention_figure
from fjdl.plots.closeness import closeness_map
from fjdl.plots.confusion import confusion_matrix_figure
from fjdl.plots.curves import learning_curves
from fjdl.plots.files import save
from fjdl.plots.filters import filter_grid
from fjdl.plots.mistakes import mistakes
from fjdl.plots.montage import montage
from fjdl.plots.text_mistakes import text_mistakes

__all__ = [
    "attention_figure", "closeness_map", "confusion_matrix_figure", "filter_grid", "learning_curves", "mistakes",
    "montage", "save", "text_mistakes",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
