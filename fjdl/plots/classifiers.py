"""How a classifier's probabilities hold: a reliability diagram, and curves over all thresholds."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fjdl.plots.style import BLUE, GRID, MUTED, STYLE, VERMILION, class_colours

_NAMED = 10  # classes up to which each one has its colour


@matplotlib.rc_context(STYLE)
def reliability_figure(
    confidence: Sequence[float], accuracy: Sequence[float], seen: Sequence[float], *, title: str
) -> Figure:
    """The accuracy of predictions by their confidence above, and how many there are of each confidence below.

    The arguments are those of a `metrics.ReliabilityDiagram` of equal bins, mean confidence and accuracy NaN where a
    bin is empty. Bars would stand on the diagonal if all probabilities held; the distance to it is red. The expected
    calibration error stands beside it. Raises `ValueError` where nothing was seen.
    """
    centres, right, count = (np.asarray(each, np.float64) for each in (confidence, accuracy, seen))
    total = count.sum()
    if not total > 0:
        raise ValueError("seen must count at least one prediction, got none")
    edges, there = np.linspace(0, 1, len(count) + 1), count > 0
    left, width = 100 * edges[:-1][there], 100 / len(count)
    centres, right, count = centres[there], right[there], count[there]
    error = float(np.sum(count * np.abs(right - centres)) / total)
    figure = Figure(figsize=(4.8, 5.4))
    figure.suptitle(title)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.bar(left, 100 * right, width, align="edge", color=BLUE, edgecolor="white", label="accuracy")
    above.vlines(100 * centres, 100 * right, 100 * centres, color=VERMILION, linewidth=2.5, label="distance")
    above.plot([0, 100], [0, 100], color=MUTED, linestyle="--", linewidth=1.2, label="probabilities that hold")
    above.set(ylabel="accuracy (%)", ylim=(0, 100), xlim=(0, 100))
    above.legend(loc="upper left", fontsize=8, title=f"calibration error {100 * error:.2g} %", title_fontsize=8)
    below.bar(left, 100 * count / total, width, align="edge", color=GRID, edgecolor=MUTED, linewidth=0.8)
    below.set(xlabel="confidence (%)", ylabel=f"share (%)\nn = {total:.0f}")
    return figure


@matplotlib.rc_context(STYLE)
def thresholds_figure(
    roc: Mapping[str, Any], precision_recall: Mapping[str, Any], areas: Mapping[str, tuple[float, float]], *, title: str
) -> Figure:
    """Receiver operating characteristics on the left, precision over recall on the right, a line for each class.

    `roc` and `precision_recall` hold by class what `metrics.roc_curve` and `metrics.precision_recall_curve` give,
    `areas` the area under the first and the average precision, of which the mean over classes is told. Of more than ten
    classes the ten of the least average precision are named, and the others grey. Raises `ValueError` without classes.
    """
    if not roc:
        raise ValueError("roc must hold the curve of at least one class, got none")
    named = sorted(roc, key=lambda name: areas[name][1])[:_NAMED] if len(roc) > _NAMED else list(roc)
    colours = dict(zip(named, class_colours(len(named)) / 255, strict=True))
    figure = Figure(figsize=(9.4, 4.4))
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    left.plot([0, 100], [0, 100], color=MUTED, linestyle="--", linewidth=1.0)
    for name in sorted(roc, key=lambda name: name in colours):
        look: dict[str, Any] = {"color": colours[name]} if name in colours else {"color": MUTED, "alpha": 0.4}
        area, average = (100 * value for value in areas[name])
        _line(left, roc[name].fpr, roc[name].tpr, label=f"{name} ({area:.1f})" if name in colours else None, **look)
        _line(
            right, precision_recall[name].recall, precision_recall[name].precision,
            label=f"{name} ({average:.1f})" if name in colours else None, **look,
        )  # fmt: skip
    means = 100 * np.nanmean(np.asarray([areas[name] for name in roc], np.float64), axis=0)
    left.set(xlabel="false positive rate (%)", ylabel="true positive rate (%)", xlim=(-2, 102), ylim=(-2, 102))
    right.set(xlabel="recall (%)", ylabel="precision (%)", xlim=(-2, 102), ylim=(-2, 102))
    left.legend(loc="lower right", fontsize=7, title=f"area (%), mean {means[0]:.1f}", title_fontsize=7)
    right.legend(loc="lower left", fontsize=7, title=f"average precision (%), mean {means[1]:.1f}", title_fontsize=7)
    return figure


def _line(axes: Axes, x: Any, y: Any, **look: Any) -> None:
    axes.plot(100 * np.asarray(x, np.float64), 100 * np.asarray(y, np.float64), linewidth=1.4, **look)
