"""Points in the plane, coloured by class."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from fjdl.plots.style import INK, STYLE
from fjdl.typing import Array, Float, Integer, typed

_MARKERS = "os^Dv"


@typed
@matplotlib.rc_context(STYLE)
def points_figure(
    points: Float[Array, "n 2"],
    labels: Integer[Array, " n"],
    *,
    classes: Sequence[str],
    title: str,
    xlabel: str,
    ylabel: str,
) -> Figure:
    """A mark for each point in the colour and form of its class, with the class's name at the middle of its points.

    Ten colours are used in turn with five forms. A class without points is not named; a label without a class raises
    `ValueError`.
    """
    where, known = np.asarray(points, np.float64), np.asarray(labels)
    if known.size and not (known.min() >= 0 and known.max() < len(classes)):
        raise ValueError(f"labels must lie in [0, {len(classes)}), got {int(known.min())} to {int(known.max())}")
    figure = Figure(figsize=(7.0, 5.5))
    figure.suptitle(title)
    axes = figure.subplots()
    colours = matplotlib.colormaps["tab10"]
    for k in np.unique(known).tolist():
        mine = where[known == k]
        marker = _MARKERS[k % len(_MARKERS)]
        axes.scatter(*mine.T, s=18, color=colours(k % 10), marker=marker, alpha=0.75, linewidths=0, label=classes[k])
        box = {"facecolor": "white", "edgecolor": colours(k % 10), "alpha": 0.8, "boxstyle": "round,pad=0.2"}
        x, y = np.median(mine, axis=0)
        axes.annotate(str(classes[k]), (x, y), ha="center", va="center", fontsize=9, color=INK, bbox=box)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    return figure
