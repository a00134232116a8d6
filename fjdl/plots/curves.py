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

from fjdl.plots.style import BLUE, GREEN, MUTED, ORANGE, PURPLE, STYLE, VERMILION, class_colours

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


@matplotlib.rc_context(STYLE)
def comparison_figure(
    runs: Mapping[str, Records], *, headline: str, title: str, percent: bool, loss_unit: str = "nats"
) -> Figure:
    """The learning curves of several runs in the same axes: losses on the left, one result of each epoch on the right.

    `runs` has the records of each by its name, as `learning_curves` takes them. Validation results are drawn through,
    those of training dashed in the same colour. `headline` is the metric on the right, such as "accuracy", in percent
    where asked; without it, or for "loss", there are losses alone. Raises `ValueError` where there is no run, or one
    without records.
    """
    if not runs or not all(runs.values()):
        raise ValueError(f"runs must hold records of at least one run, got {[*map(len, runs.values())]} records")
    panels = ["loss"] if headline == "loss" else ["loss", headline]
    clock = "epoch" if all("epoch" in record for records in runs.values() for record in records) else "step"
    figure = Figure(figsize=(1.2 + 4.6 * len(panels), 4.0 + 0.14 * len(runs)))
    figure.suptitle(title)
    for axes, name in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        scale = 100 if percent and name != "loss" else 1
        for number, (run, records) in enumerate(runs.items()):
            colour = class_colours(len(runs))[number] / 255
            training = "train_loss" if name == "loss" else f"{_SAMPLE}{name}"
            for key, style in ((training, "--"), (f"{_VALIDATION}{name}", "-")):
                points = [(record[clock], scale * _or_gap(record[key])) for record in records if key in record]
                marker = "o" if len(points) <= _FEW and style == "-" else ""
                label = run if name == "loss" and style == "-" else None
                axes.plot(*_columns(points), style, color=colour, marker=marker, label=label)
        unit = f" ({loss_unit})" if name == "loss" else " (%)" if percent else ""
        axes.set(xlabel=clock, ylabel=f"{_words(name)}{unit}, dashed: training")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    figure.legend(loc="outside lower center", ncols=min(3, len(runs)), fontsize=8)
    return figure


def _columns(points: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _or_gap(value: float) -> float:
    return value if math.isfinite(value) else math.nan


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
