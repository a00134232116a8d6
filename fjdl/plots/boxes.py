"""Boxes that were found, beside the true ones, and how precise they are at each recall."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fjdl.plots.images import case_panels, class_legend, require_images, stretched
from fjdl.plots.style import MUTED, STYLE, class_colours, ink_on
from fjdl.typing import Array, Num, typed

_INCHES = 2.3  # of one image
_NAMED = 12  # curves that the legend names


class Drawn(NamedTuple):
    """The boxes in one image, in its pixels."""

    boxes: np.ndarray  # corners [k, 4]
    labels: np.ndarray  # int [k]
    scores: np.ndarray | None = None  # [k], of boxes that were found
    ignored: np.ndarray | None = None  # bool [k]: objects that need not be found, drawn in dashes


@typed
@matplotlib.rc_context(STYLE)
def boxes_figure(
    images: Num[Array, "n h w c"],
    true: Sequence[Drawn],
    found: Sequence[Drawn],
    *,
    captions: Sequence[str],
    classes: Sequence[str],
    title: str,
    note: str = "",
) -> Figure:
    """Each image with its true boxes beside itself with those found, as `segments_figure` arranges and colours them.

    The score of a box that was found stands at its upper left corner. Raises `ValueError` as `image_grid` does, and
    unless there are boxes for each image.
    """
    require_images(images, captions)
    if not len(true) == len(found) == len(captions):
        raise ValueError(f"true and found must be of {len(captions)} images each, got {len(true)} and {len(found)}")
    size = (images.shape[1], images.shape[2])
    figure, panels = case_panels(captions, ("truth", "found"), size=size, title=title, note=note, inches=_INCHES)
    colours = class_colours(len(classes))
    for image, pair, each in zip(stretched(images), panels, zip(true, found, strict=True), strict=True):
        for axes, drawn in zip(pair, each, strict=True):
            axes.imshow(image, cmap="gray", vmin=0, vmax=1)
            _draw(axes, drawn, colours)
    shown = np.unique(np.concatenate([drawn.labels for drawn in (*true, *found)])).astype(int)
    class_legend(figure, [classes[int(label)] for label in shown], colours[shown])
    return figure


@matplotlib.rc_context(STYLE)
def precision_recall_figure(
    curves: Sequence[Any], precision: Sequence[float], *, classes: Sequence[str], title: str
) -> Figure:
    """Precision over recall of each class with objects, as `metrics.voc_curves` gives them, in percent.

    `precision` is the average precision of each, which the legend states, the best class first; NaN is a class without
    objects. Of more than 12 classes the legend names the 6 best and the 6 worst, and the others are thin and grey.
    Raises `ValueError` unless there are a curve and a number for each class.
    """
    if not len(curves) == len(precision) == len(classes):
        raise ValueError(f"there must be {len(classes)} curves and precisions, got {len(curves)} and {len(precision)}")
    values = np.asarray(precision, np.float64)
    ranked = [int(k) for k in np.argsort(-values, kind="stable") if not np.isnan(values[k])]
    named = ranked if len(ranked) <= _NAMED else [*ranked[: _NAMED // 2], *ranked[-_NAMED // 2 :]]
    figure = Figure(figsize=(6.4, 4.4))
    figure.suptitle(title)
    axes = figure.subplots()
    axes.set(xlim=(0, 102), ylim=(0, 102), xlabel="recall (%)", ylabel="precision (%)")
    for label in ranked:
        if label not in named:
            _curve(axes, curves[label], color=MUTED, linewidth=0.6, alpha=0.5)
    own = len(classes) <= _NAMED  # colours of classes, as in `boxes_figure`
    colours = class_colours(len(classes))[named] if own else class_colours(len(named))
    for colour, label in zip(colours, named, strict=True):
        _curve(axes, curves[label], color=colour / 255, label=f"{classes[label]} ({100 * values[label]:.1f})")
    if ranked:
        mean = 100 * values[ranked].mean()
        figure.legend(
            loc="outside right upper", fontsize=8, title_fontsize=8, title=f"average precision (%)\nmean {mean:.1f}"
        )
    return figure


def _draw(axes: Axes, drawn: Drawn, colours: np.ndarray) -> None:
    ignored = np.zeros(len(drawn.labels), bool) if drawn.ignored is None else drawn.ignored
    for number, (box, label) in enumerate(zip(drawn.boxes, drawn.labels, strict=True)):
        x0, y0, x1, y1 = np.asarray(box, np.float64) - 0.5
        colour = colours[int(label)] / 255
        style = ":" if ignored[number] else "-"
        axes.add_patch(
            Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=1.4, linestyle=style)
        )
        if drawn.scores is not None:
            axes.text(
                x0, y0, f"{drawn.scores[number]:.2f}", fontsize=5.5, color=ink_on(colour), va="bottom", clip_on=True,
                bbox={"facecolor": colour, "edgecolor": "none", "pad": 0.6},
            )  # fmt: skip


def _curve(axes: Axes, curve: Any, **look: Any) -> None:
    """From a recall of 0 at the first precision on."""
    recall, precision = (100 * np.asarray(values, np.float64) for values in (curve.recall, curve.precision))
    start = precision[:1] if len(precision) else np.zeros(1)
    axes.plot(np.append(0.0, recall), np.append(start, precision), **look)
