"""The score by each hyper-parameter."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fjdl.plots.style import BLUE, MUTED, STYLE, VERMILION
from fjdl.plots.sweeps.axis import axis_of

_COLUMNS = 3


@matplotlib.rc_context(STYLE)
def marginals(
    points: Sequence[Mapping[str, Any]],
    scores: Sequence[float],
    *,
    spreads: Sequence[float] | None = None,
    epochs: Sequence[int] | None = None,
    score: str,
    title: str,
) -> Figure:
    """A panel for each hyper-parameter with a dot for each trial: the score over the value, whatever the others were.

    `spreads` are drawn as bars up and down; trials of fewer `epochs` than others, which were given up, are grey. The
    first trial, the best where they are ranked, is marked. Numbers have a logarithmic axis
    where `axis_of` says so. Raises `ValueError` for no points.
    """
    if not points:
        raise ValueError("points must hold at least one trial, got none")
    names = list(points[0])
    whole = np.ones(len(points), bool) if epochs is None else np.asarray(epochs) == max(epochs)
    rows = -(-len(names) // _COLUMNS)
    figure = Figure(figsize=(0.6 + 3.4 * min(len(names), _COLUMNS), 0.4 + 3.0 * rows))
    figure.suptitle(title)
    panels = figure.subplots(rows, min(len(names), _COLUMNS), squeeze=False, sharey=True).ravel()
    values, bars = np.asarray(scores, np.float64), np.zeros(len(points)) if spreads is None else np.asarray(spreads)
    for axes, name in zip(panels, names, strict=False):
        axis = axis_of([point[name] for point in points])
        for chosen, colour, label in ((~whole, MUTED, "given up"), (whole, BLUE, "trials")):
            axes.errorbar(
                axis.places[chosen], values[chosen], bars[chosen], fmt="o", color=colour, elinewidth=1, alpha=0.75,
                label=label if chosen.any() else None,
            )  # fmt: skip
        axes.plot(axis.places[:1], values[:1], "o", color=VERMILION, markersize=8, label="best")
        axes.set(xlabel=name, xscale="log" if axis.log else "linear")
        if axis.whole and not axis.log:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if axis.labels:
            axes.set_xticks(range(len(axis.labels)), axis.labels)
            axes.set_xlim(-0.5, len(axis.labels) - 0.5)
    for place, axes in enumerate(panels):
        axes.set_visible(place < len(names))
        axes.set_ylabel(score if place % _COLUMNS == 0 else "")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure
