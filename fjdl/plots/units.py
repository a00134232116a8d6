"""What units do: their distributions by layer, and which of them are dead or saturated."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from fjdl.plots.style import BLUE, MUTED, ORANGE, STYLE, VERMILION

_COLOURS = (BLUE, VERMILION, ORANGE)
Counted = tuple[np.ndarray, np.ndarray]  # counts [bins] and edges [bins + 1]


@matplotlib.rc_context(STYLE)
def histograms_figure(
    rows: Mapping[str, Mapping[str, Counted]], *, columns: Sequence[str], title: str, note: str = ""
) -> Figure:
    """A row for each layer and a column for each kind of number: shares of the entries in bins, on a logarithmic axis.

    `rows[layer][column]` are counts and edges as NumPy has them; a layer may lack a column. Raises `ValueError` where
    there is no layer.
    """
    if not rows:
        raise ValueError("rows must hold at least one layer, got none")
    figure = Figure(figsize=(3.2 * len(columns) + 0.6, 1.25 * len(rows) + 1.3))
    figure.suptitle(title)
    figure.supxlabel(note, color=MUTED, fontsize=9)
    cells = figure.subplots(len(rows), len(columns), squeeze=False)
    for line, (layer, found) in zip(cells, rows.items(), strict=True):
        for axes, column, colour in zip(line, columns, _COLOURS, strict=False):
            if column not in found:
                axes.axis("off")
                continue
            counts, edges = (np.asarray(each, np.float64) for each in found[column])
            axes.stairs(counts / max(counts.sum(), 1), edges, fill=True, color=colour)
            axes.set_yscale("log")
            axes.set_ylim(0.5 / max(counts.sum(), 1), 1.5)
            axes.tick_params(labelsize=7)
            axes.yaxis.set_ticks([], minor=True)
            axes.xaxis.set_major_locator(MaxNLocator(nbins=5))
            axes.grid(False, axis="y")
        line[0].set_ylabel(layer, fontsize=8, rotation=0, ha="right", va="center")
    for axes, column in zip(cells[0], columns, strict=True):
        axes.set_title(column)
    return figure


@matplotlib.rc_context(STYLE)
def units_figure(shares: Mapping[str, Sequence[float]], *, kind: str, title: str, note: str = "") -> Figure:
    """For each layer, from above to below, the mean share of its units and the part of units whose share is 1.

    `shares[layer]` are those of its units, in [0, 1], such as the shares of examples at which each gives 0; `kind`
    names them, such as "zero". Raises `ValueError` where there is no layer, or one without units.
    """
    if not shares or not all(len(np.ravel(np.asarray(values))) for values in shares.values()):
        raise ValueError(f"shares must hold layers with at least one unit each, got {dict(shares)}")
    names = list(shares)
    values = [np.asarray(each, np.float64) for each in shares.values()]
    figure = Figure(figsize=(7.0, 0.42 * len(names) + 1.8))
    figure.suptitle(title)
    figure.supxlabel(note, color=MUTED, fontsize=9)
    axes = figure.subplots()
    places = np.arange(len(names))
    axes.barh(places - 0.2, [each.mean() for each in values], 0.38, color=BLUE, label=f"{kind}, mean over units")
    axes.barh(
        places + 0.2, [np.mean(each >= 1) for each in values], 0.38, color=VERMILION, label=f"units always {kind}"
    )
    axes.set_yticks(places, [f"{name} ({each.size})" for name, each in zip(names, values, strict=True)])
    axes.invert_yaxis()
    axes.set(xlim=(0, 1))
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(False, axis="y")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=8)
    return figure
