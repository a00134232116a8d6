"""How near words, or other things with vectors, stand to one another."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from fjdl.plots.style import DIVERGING, NOT_FINITE, STYLE, colour_bar
from fjdl.typing import Array, Float, typed

_DARK = 0.6  # size of a cosine from which the cell is dark and its number white
_MOST_NUMBERS = 20  # things up to which cells have room for numbers


@typed
@matplotlib.rc_context(STYLE)
def closeness_map(cosines: Float[Array, "n m"], *, rows: Sequence[str], columns: Sequence[str], title: str) -> Figure:
    """The cosine of each of n things with each of m, in colours from -1 to 1; a cosine that is not finite is black.

    `fjdl.functional.similarity.cosine_similarities` of vectors of words gives the matrix. Up to 20 columns each cell
    has its number. Raises `ValueError` unless there is a name for each row and each column.
    """
    values = np.asarray(cosines, np.float64)
    for name, given, count in (("rows", rows, values.shape[0]), ("columns", columns, values.shape[1])):
        if len(given) != count or not count:
            raise ValueError(f"{name} must name each of the {count} {name} of the matrix, got {len(given)} names")
    side = max(0.3, 0.62 - 0.01 * max(values.shape))  # inches of a cell
    across, down = (0.09 * max(map(len, names)) for names in (rows, columns))
    figure = Figure(figsize=(side * len(columns) + across + 1.8, side * len(rows) + 0.7 * down + 0.9))
    figure.suptitle(title)
    axes = figure.subplots()
    colours = matplotlib.colormaps[DIVERGING].with_extremes(bad=NOT_FINITE)
    image = axes.imshow(np.ma.masked_invalid(values), cmap=colours, vmin=-1, vmax=1)
    if len(columns) <= _MOST_NUMBERS:
        for (row, column), value in np.ndenumerate(values):
            colour = "black" if abs(value) < _DARK else "white"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=7)
    axes.set_xticks(range(len(columns)), columns, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    colour_bar(figure, image, axes, label="cosine", aspect=25, pad=0.02)
    return figure
