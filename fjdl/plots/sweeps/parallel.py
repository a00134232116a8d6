"""All hyper-parameters of all trials side by side."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from fjdl.plots.style import INK, MUTED, STYLE, colour_bar
from fjdl.plots.sweeps.axis import Axis, axis_of

_COLOURS = "viridis"


@matplotlib.rc_context({**STYLE, "axes.grid": False})
def parallel_coordinates(
    points: Sequence[Mapping[str, Any]],
    scores: Sequence[float],
    *,
    score: str,
    better: Literal["max", "min"] = "max",
    title: str,
) -> Figure:
    """A line for each trial through its value of each hyper-parameter to its score, by which it is coloured.

    Good trials lie above bad ones. Numbers have a logarithmic axis where `axis_of` says so, and each axis shows its
    least, middle and greatest value (Inselberg 1985, The Visual Computer 1). Raises `ValueError` for no points.
    """
    if not points:
        raise ValueError("points must hold at least one trial, got none")
    names = [*points[0], score]
    columns = [axis_of([point[name] for point in points]) for name in points[0]] + [axis_of([float(x) for x in scores])]
    columns[-1] = columns[-1]._replace(log=False)
    lines, values = np.stack([column.scaled for column in columns], axis=1), np.asarray(scores, np.float64)
    figure = Figure(figsize=(1.6 + 1.7 * len(names), 4.2))
    axes, colours = figure.subplots(), matplotlib.colormaps[_COLOURS if better == "max" else f"{_COLOURS}_r"]
    norm = Normalize(values.min(), values.max()) if values.min() < values.max() else Normalize()
    for place in np.argsort(values if better == "max" else -values, kind="stable"):
        axes.plot(range(len(names)), lines[place], color=colours(norm(values[place])), linewidth=1.4, alpha=0.8)
    for place, column in enumerate(columns):
        _draw_axis(axes, place, column)
    axes.set(xlim=(-0.3, len(names) - 0.4), ylim=(-0.06, 1.06), title=title)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_visible(False)
    colour_bar(figure, ScalarMappable(norm, colours), axes, label=score, pad=0.02)
    return figure


def _draw_axis(axes: Axes, place: int, column: Axis) -> None:
    axes.axvline(place, ymin=0.05, ymax=0.95, color=MUTED, linewidth=0.8, zorder=1)
    for height, text in _ticks(column):
        axes.annotate(
            text, (place, height), xytext=(4, 0), textcoords="offset points", va="center", color=INK, fontsize=8,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5},
        )  # fmt: skip


def _ticks(column: Axis) -> list[tuple[float, str]]:
    if column.labels:
        return sorted(
            {height: column.labels[int(at)] for height, at in zip(column.scaled, column.places, strict=True)}.items()
        )
    low, high = column.places.min(), column.places.max()
    if low == high:
        return [(0.5, f"{low:.3g}")]
    ends = [(0.0, f"{low:.3g}"), (1.0, f"{high:.3g}")]
    middle = float(np.sqrt(low * high) if column.log else (low + high) / 2)
    return ends if column.whole and not middle.is_integer() else [*ends, (0.5, f"{middle:.3g}")]
