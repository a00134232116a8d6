"""The images that a classifier gets wrong."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from fjdl.checks import at_least
from fjdl.plots.images import INCHES, caption_size, show, stretched
from fjdl.plots.style import MUTED, STYLE
from fjdl.typing import Array, Float, Integer, Num, typed


@typed
@matplotlib.rc_context(STYLE)
def mistakes(
    images: Num[Array, "n h w c"],
    true: Integer[Array, "n"],
    predicted: Integer[Array, "n"],
    confidence: Float[Array, "n"],
    *,
    classes: Sequence[str],
    title: str,
    most: int = 25,
) -> Figure:
    """The misclassified ones among `images`, at most `most`, the most confident first.

    Each is captioned "true → predicted (confidence)", the confidence being a probability; NaN comes last, and a class
    without a name, such as −1, is a question mark. One channel is drawn in grey, three in colour, from the smallest to
    the largest value of those shown. Raises `ValueError` for other channels and unless `most` is positive.
    """
    if images.shape[-1] not in (1, 3):
        raise ValueError(f"images must have 1 or 3 channels, got {images.shape[-1]}")
    found = most_confident(true, predicted, confidence, classes=classes, most=most)
    chosen = found.chosen
    columns = max(math.ceil(math.sqrt(len(chosen))), 1)
    rows = max(math.ceil(len(chosen) / columns), 1)
    figure = Figure(figsize=(max(INCHES * columns + 0.3, 4.0), 1.2 * INCHES * rows + 0.9))
    figure.suptitle(title)
    figure.supxlabel(found.counts, color=MUTED, fontsize=9)
    cells = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in cells:
        axes.axis("off")
    for axes, image, caption in zip(cells, stretched(np.asarray(images)[chosen]), found.captions, strict=False):
        show(axes, image, caption, size=caption_size(found.captions))
    return figure


class Mistakes(NamedTuple):
    """Some of the mistakes of a classifier."""

    chosen: np.ndarray  # places of those that are shown
    captions: list[str]  # "true → predicted (confidence)" of each
    counts: str  # how many there are, of how many examples


def most_confident(true: Any, predicted: Any, confidence: Any, *, classes: Sequence[str], most: int) -> Mistakes:
    """At most `most` mistakes, the most confident first, told as in `mistakes`."""
    at_least(1, most=most)
    certainty = np.asarray(confidence, np.float64)
    wrong = np.flatnonzero(np.asarray(true) != np.asarray(predicted))
    chosen = wrong[np.argsort(-certainty[wrong], kind="stable")][:most]
    shown = f", {len(chosen):,} shown" if len(chosen) < len(wrong) else ""
    captions = [
        f"{_name(classes, int(true[i]))} → {_name(classes, int(predicted[i]))} ({certainty[i]:.2f})" for i in chosen
    ]
    return Mistakes(chosen, captions, f"{len(wrong):,} of {len(certainty):,} wrong{shown}")


def _name(classes: Sequence[str], label: int) -> str:
    return classes[label] if 0 <= label < len(classes) else "?"
