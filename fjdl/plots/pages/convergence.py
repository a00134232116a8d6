"""How fast many optimizers learn, side by side."""

from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fjdl.plots.style import BLUE, MUTED, STYLE
from fjdl.typing import Array

_COLUMNS = 5


@matplotlib.rc_context(STYLE)
def convergence_figure(curves: Mapping[str, Array], *, title: str, quantity: str) -> Figure:
    """One small panel for each name: the mean over seeds after each epoch, with a band of one standard deviation.

    `curves` are arrays of shape (seeds, epochs) with the same number of epochs, one seed having no band; behind each
    mean stand all others in grey. The number is the mean after the last epoch. The axis leaves out the lowest tenth of
    all means, so that a bad first epoch does not flatten the rest. Raises `ValueError` for no curves, for other shapes,
    and where no value is finite.
    """
    values = {name: np.asarray(curve, np.float64) for name, curve in curves.items()}
    if not values:
        raise ValueError("curves must hold at least one optimizer, got none")
    _require_shapes(values)
    means = {name: curve.mean(axis=0) for name, curve in values.items()}
    columns = min(_COLUMNS, len(values))
    rows = -(-len(values) // columns)
    figure = Figure(figsize=(2.3 * columns + 0.7, 1.9 * rows + 0.9))
    figure.suptitle(title)
    cells = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    limits = _limits(np.stack(list(means.values())))
    for axes, (name, curve) in zip(cells.ravel(), values.items(), strict=False):
        _draw(axes, name, curve, means)
    for axes in cells.ravel()[len(values) :]:
        axes.axis("off")
    cells[0, 0].set_ylim(*limits)
    figure.supxlabel("epoch", fontsize=10)
    figure.supylabel(quantity, fontsize=10)
    return figure


def _require_shapes(values: Mapping[str, np.ndarray]) -> None:
    epochs = {curve.shape[1:] for curve in values.values()}
    if len(epochs) > 1 or any(curve.ndim != 2 or not curve.size for curve in values.values()):
        shapes = {name: list(curve.shape) for name, curve in values.items()}
        raise ValueError(f"curves must have shapes (seeds, epochs) with the same epochs, got {shapes}")
    if not any(np.isfinite(curve).any() for curve in values.values()):
        raise ValueError("curves must hold a finite value, got none")


def _limits(means: np.ndarray) -> tuple[float, float]:
    """Of the axis, with a little room."""
    shown = means[np.isfinite(means)]
    low, high = np.quantile(shown, [0.1, 1.0])
    room = 0.06 * (high - low) or 0.5
    return low - room, high + room


def _draw(axes: Axes, name: str, curve: np.ndarray, means: Mapping[str, np.ndarray]) -> None:
    """All means in grey, this one with its band on top."""
    epochs = np.arange(1, curve.shape[1] + 1)
    for mean in means.values():
        axes.plot(epochs, mean, color=MUTED, alpha=0.35, linewidth=0.8, zorder=1)
    mean = means[name]
    if len(curve) > 1:
        deviation = curve.std(axis=0, ddof=1)
        axes.fill_between(epochs, mean - deviation, mean + deviation, color=BLUE, alpha=0.2, linewidth=0, zorder=2)
    axes.plot(epochs, mean, color=BLUE, marker="o", markersize=2.5, linewidth=1.6, zorder=3)
    axes.set_title(name, fontweight="bold", fontsize=9)
    last = axes.text(0.97, 0.06, f"{mean[-1]:.2f}", transform=axes.transAxes, ha="right", fontsize=9, color=BLUE)
    last.set(zorder=4, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1})
    axes.grid(axis="x", visible=False)
    axes.tick_params(labelsize=8, length=2)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
