"""The confusion matrix as a picture."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from fjdl.plots.style import INK, MUTED, SEQUENTIAL, STYLE, colour_bar
from fjdl.typing import Array, Num, typed

_DARK = 0.55  # row fraction from which the cell is dark and its count white


@typed
@matplotlib.rc_context(STYLE)
def confusion_matrix_figure(matrix: Num[Array, "k k"], *, classes: Sequence[str], title: str) -> Figure:
    """Counts of examples by true class (row) and predicted class (column); the colour is the fraction of the row.

    A class without examples has a pale row of zeros. Made for 1 to 20 classes: the figure grows and the font shrinks.
    Raises `ValueError` unless there is one name for each class and every count is whole and not negative.
    """
    counts = np.asarray(matrix, np.float64)
    if len(classes) != len(counts) or not classes:
        raise ValueError(f"classes must name each of the {len(counts)} rows, got {len(classes)} names")
    if not np.all((counts >= 0) & (counts == np.floor(counts)) & np.isfinite(counts)):
        raise ValueError(f"matrix must hold whole counts that are not negative, got {counts.tolist()}")
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)

    side = len(classes) * _cell(len(classes))
    names = 0.09 * max(map(len, classes))  # inches
    figure = Figure(figsize=(max(side, 1.2) + names + 2.0, max(side, 1.2) + 0.7 * names + 1.1))
    figure.suptitle(title)
    axes = figure.subplots()
    image = axes.imshow(fractions, cmap=SEQUENTIAL, vmin=0, vmax=1)
    _write_counts(axes, counts, fractions)
    _name_classes(axes, classes)
    colour_bar(figure, image, axes, label="share of the true class", aspect=25, pad=0.02, format=PercentFormatter(1))
    return figure


def _cell(classes: int) -> float:
    """Inches of one side of a cell."""
    return max(0.5, 0.95 - 0.05 * classes)


def _write_counts(axes: Axes, counts: np.ndarray, fractions: np.ndarray) -> None:
    """The number in each cell, in a size at which the longest fits and in the colour that stands out."""
    longest = max(len(f"{count:.0f}") for count in counts.flat)
    size = min(11.0, 72 * _cell(len(counts)) / (0.75 * longest + 0.6))
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if fractions[row, column] > _DARK else INK if count else MUTED
        axes.text(column, row, f"{count:.0f}", ha="center", va="center", color=colour, fontsize=size)


def _name_classes(axes: Axes, classes: Sequence[str]) -> None:
    """Names along both sides, turned where they are long, and white lines between the cells."""
    axes.set(xlabel="predicted class", ylabel="true class")
    axes.set_xticks(range(len(classes)), classes)
    axes.set_yticks(range(len(classes)), classes)
    if max(map(len, classes)) > 4:
        for label in axes.get_xticklabels():
            label.set(rotation=45, ha="right", rotation_mode="anchor")
    between = np.arange(0.5, len(classes) - 1)
    axes.set_xticks(between, minor=True)
    axes.set_yticks(between, minor=True)
    axes.tick_params(which="both", length=0)
    axes.grid(False)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.spines[:].set_visible(False)
