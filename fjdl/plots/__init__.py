"""Figures of what was trained and measured, as matplotlib `Figure` objects that no window or global state holds.

One figure a file: learning curves, confusion matrix, first-layer filters, mistakes, closeness of words, maps of what a
network looks at, classes of pixels and boxes beside the truth. `overlays` draws into the pixels of an image itself, and
`pages` has the figures of the documentation. May import every floor below 5.

>>> from fjdl.plots.curves import comparison_figure, learning_curves
>>> records = [{"step": n, "train_loss": 1 / n, "validation_loss": 2 / n} for n in (1, 2, 4)]
>>> figure = learning_curves(records, title="a short run", best_step=4)
>>> figure.axes[0].get_xlabel()
'step'
"""

from fjdl.plots.adversarial import adversarial_figure, robustness_figure
from fjdl.plots.attention import attention_figure
from fjdl.plots.boxes import Drawn, boxes_figure, precision_recall_figure
from fjdl.plots.classifiers import reliability_figure, thresholds_figure
from fjdl.plots.closeness import closeness_map
from fjdl.plots.confusion import confusion_matrix_figure
from fjdl.plots.curves import comparison_figure, learning_curves
from fjdl.plots.files import save
from fjdl.plots.filters import filter_grid
from fjdl.plots.images import image_grid
from fjdl.plots.maps import maps_figure, regions_figure
from fjdl.plots.mistakes import mistakes
from fjdl.plots.montage import montage
from fjdl.plots.overlays import covered, image_png, mask_png, outlined
from fjdl.plots.points import points_figure
from fjdl.plots.segments import segments_figure
from fjdl.plots.style import class_colours
from fjdl.plots.text_mistakes import text_mistakes
from fjdl.plots.units import histograms_figure, units_figure

__all__ = [
    "Drawn", "adversarial_figure", "attention_figure", "boxes_figure", "class_colours", "closeness_map",
    "comparison_figure", "confusion_matrix_figure", "covered", "filter_grid", "histograms_figure", "image_grid",
    "image_png", "learning_curves", "maps_figure", "mask_png", "mistakes", "montage", "outlined", "points_figure",
    "precision_recall_figure", "regions_figure", "reliability_figure", "robustness_figure", "save", "segments_figure",
    "text_mistakes", "thresholds_figure", "units_figure",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
