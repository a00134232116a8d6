"""Learning curves of one run."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fjdl.plots.style import BLUE, GREEN, MUTED, ORANGE, PURPLE, STYLE, VERMILION

Records = Sequence[Mapping[str, Any]]

_LOSSES = {
    "train_loss": ("training", BLUE, "-"),
    "train_sample_loss": ("training, after the epoch", BLUE, "--"),
    "validation_loss": ("validation", VERMILION, "-"),
}
_VALIDATION, _SAMPLE = "validation_", "train_sample_"
_FRACTION = re.compile(r"accuracy|precision|recall|f1|iou|dice")
_COLOURS = (VERMILION, PURPLE, GREEN, ORANGE, BLUE)
_FEW = 30  # points up to which each one is marked


@matplotlib.rc_context(STYLE)
def learning_curves(records: Records, *, title: str, best_step: int | None = None, loss_unit: str = "nats") -> Figure:
    """Losses on the left, the other metrics beside them, over the epochs or, without those, steps.

    `records` are lines of metrics.jsonl; one that lacks a value, or where it is not finite, leaves a gap. What was
    measured on training examples is dashed, in the colour of the same metric on the validation part. Accuracy,
    precision, recall, F1, IoU and Dice, known by their names, are fractions and drawn in %; metrics of other units have
    a panel of their own. A dotted line marks the record of `best_step`, or else the first one of the lowest validation
    loss. Raises `ValueError` for no records, for records without any loss, and for a `best_step` not among them.
    """
    if not records:
        raise ValueError("records must not be empty, got 0 records")
    names = list(dict.fromkeys(name for record in records for name in record))
    panels = _panels(names)
    clock = "epoch" if all("epoch" in record for record in records) else "step"
    figure = Figure(figsize=(0.8 + 4.2 * len(panels), 3.6))
    figure.suptitle(title)
    best = _best(records, best_step)
    for axes, chosen in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _draw(axes, records, clock, chosen, loss_unit)
        if best is not None:
            label = f"best ({clock} {best[clock]})" if chosen is panels[0] else None
            axes.axvline(best[clock], color=MUTED, linestyle=":", linewidth=1.3, zorder=1, label=label)
        if len(axes.get_legend_handles_labels()[1]) > 1:
            axes.legend(fontsize=9)
    return figure


def _panels(names: Sequence[str]) -> list[list[str]]:
    """What is drawn together: losses, fractions, the rest; a panel that would be empty is left out."""
    losses = [name for name in _LOSSES if name in names]
    if not losses:
        raise ValueError(f"records must hold train_loss or validation_loss, got only {names}")
    metrics = [name for name in names if name.startswith((_VALIDATION, _SAMPLE)) and name not in _LOSSES]
    fractions = [name for name in metrics if _FRACTION.search(name)]
    others = [name for name in metrics if name not in fractions]
    return [panel for panel in (losses, fractions, others) if panel]


def _best(records: Records, best_step: int | None) -> Mapping[str, Any] | None:
    """The record to mark, if any."""
    if best_step is not None:
        chosen = [record for record in records if record.get("step") == best_step]
        if not chosen:
            raise ValueError(f"best_step must be the step of a record, got {best_step}")
        return chosen[0]
    finite = [record for record in records if math.isfinite(record.get("validation_loss", math.nan))]
    return min(finite, key=lambda record: record["validation_loss"], default=None)


def _draw(axes: Axes, records: Records, clock: str, names: Sequence[str], loss_unit: str) -> None:
    """One line for each name, and the axis labels they share."""
    loss, percent = names[0] in _LOSSES, bool(_FRACTION.search(names[0]))
    metrics = list(dict.fromkeys(_words(name) for name in names))
    sampled = any(name.startswith(_SAMPLE) for name in names)
    colours = dict(zip(metrics, itertools.cycle(_COLOURS), strict=False))
    for name in names:
        words = _words(name)
        of = ("training" if name.startswith(_SAMPLE) else "validation") if sampled and len(metrics) == 1 else words
        label, colour, style = _LOSSES.get(name, (of, colours[words], "--" if name.startswith(_SAMPLE) else "-"))
        points = [(record[clock], record[name]) for record in records if name in record]
        values = [(100 if percent else 1) * value if math.isfinite(value) else math.nan for _, value in points]
        marker = "o" if len(points) <= _FEW else ""
        shown = "_" + label if len(metrics) > 1 and style == "--" and not loss else label
        axes.plot([time for time, _ in points], values, style, color=colour, marker=marker, label=shown)
    quantity = metrics[0] if len(metrics) == 1 else "score" if percent else "value"
    measured = quantity + (", dashed: training" if len(metrics) > 1 else "") if sampled else f"validation {quantity}"
    axes.set(xlabel=clock, ylabel=f"loss ({loss_unit})" if loss else measured + (" (%)" if percent else ""))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))


def _words(name: str) -> str:
    return name.removeprefix(_SAMPLE).removeprefix(_VALIDATION).replace("_", " ")
