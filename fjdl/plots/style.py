"""The one look of all figures: quiet axes, and colours that colour-blind readers tell apart."""

from typing import Any

from matplotlib.figure import Figure

BLUE, VERMILION, GREEN, PURPLE, ORANGE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"  # Okabe & Ito 2008
INK, MUTED, GRID = "#222222", "#6B6B6B", "#E4E4E4"

SEQUENTIAL, DIVERGING = "Blues", "RdBu_r"
NOT_FINITE = "black"

STYLE: dict[Any, Any] = {
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.1,  # inches
    "figure.constrained_layout.h_pad": 0.1,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "font.size": 10,
    "text.color": INK,
    "figure.titlesize": 13,
    "figure.titleweight": "bold",
    "axes.titlesize": 10,
    "axes.titlecolor": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.prop_cycle": f"cycler('color', {[VERMILION, PURPLE, GREEN, ORANGE, BLUE]})",
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.8,
    "lines.markersize": 4,
    "lines.solid_capstyle": "round",
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "image.interpolation": "nearest",
}
"""Settings for `matplotlib.rc_context`."""


def colour_bar(figure: Figure, mappable: Any, axes: Any, *, label: str, **options: Any) -> None:
    """A colour bar without a frame beside the axes, named; `options` are those of `Figure.colorbar`."""
    bar = figure.colorbar(mappable, ax=axes, **options)
    bar.set_label(label)
    bar.outline.set_visible(False)
