"""The curve of a learning-rate range test."""

import math
from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from fjdl.plots.style import BLUE, GREEN, MUTED, STYLE, VERMILION
from fjdl.typing import Array


@matplotlib.rc_context(STYLE)
def range_figure(
    rates: Array, losses: Array, smoothed: Array, *, suggestions: Mapping[str, float], title: str, unit: str = "nats"
) -> Figure:
    """Loss against learning rate on a logarithmic axis, batch by batch and smoothed, with a line at each suggestion.

    What is not finite leaves a gap, and so does a suggestion of NaN; the axis ends above the smoothed curve, so that a
    divergence does not flatten the rest. Raises `ValueError` where no loss is finite.
    """
    x, rough, smooth = (_finite(np.asarray(values, np.float64)) for values in (rates, losses, smoothed))
    shown = smooth[np.isfinite(smooth)]
    if not shown.size:
        raise ValueError(f"smoothed must hold a finite loss, got none among {smooth.size}")
    figure = Figure(figsize=(6.4, 4.4))
    axes = figure.subplots()
    axes.semilogx(x, rough, color=MUTED, linewidth=0.8, alpha=0.6, label="each batch")
    axes.semilogx(x, smooth, color=BLUE, label="smoothed")
    for (label, rate), colour in zip(suggestions.items(), (VERMILION, GREEN), strict=False):
        if math.isfinite(rate):
            axes.axvline(rate, color=colour, linestyle=":", linewidth=1.6, label=f"{label}, {rate:.1e}")
    first, lowest = float(shown[0]), float(shown.min())
    top = min(float(shown.max()), first + 0.5 * max(first - lowest, abs(first)))
    margin = 0.08 * (top - lowest) or 0.1
    axes.set(xlabel="learning rate", ylabel=f"training loss ({unit})", title=title)
    axes.set_ylim(lowest - 2 * margin, top + margin)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _finite(y: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(y), y, np.nan)
