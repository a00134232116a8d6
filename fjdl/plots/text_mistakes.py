"""The texts that a classifier gets wrong."""

import textwrap
from collections.abc import Sequence

import matplotlib
from matplotlib.figure import Figure

from fjdl.plots.mistakes import most_confident
from fjdl.plots.style import MUTED, STYLE
from fjdl.typing import Array, Float, Integer, typed

_COLUMNS, _LINES = 100, 3  # of the text of one mistake
_INCHES = 0.17  # of one line


@typed
@matplotlib.rc_context(STYLE)
def text_mistakes(
    texts: Sequence[str],
    true: Integer[Array, "n"],
    predicted: Integer[Array, "n"],
    confidence: Float[Array, "n"],
    *,
    classes: Sequence[str],
    title: str,
    most: int = 20,
) -> Figure:
    """The misclassified ones among `texts` as a list, at most `most`, the most confident first.

    Captions and order are those of `mistakes`. A text of more than three lines of 100 characters is cut off at "…".
    Raises `ValueError` unless `most` is positive.
    """
    found = most_confident(true, predicted, confidence, classes=classes, most=most)
    shown = [
        "\n".join(textwrap.wrap(texts[int(i)], _COLUMNS, max_lines=_LINES, placeholder=" …")) or "(no words)"
        for i in found.chosen
    ]
    lines = sum(text.count("\n") + 2 for text in shown)
    figure = Figure(figsize=(9.5, max(_INCHES * (lines + 5), 2.0)))
    height = figure.get_figheight()
    figure.suptitle(title)
    figure.supxlabel(found.counts, color=MUTED, fontsize=9)
    top = height - 3 * _INCHES
    for caption, text in zip(found.captions, shown, strict=True):
        options = {"va": "top", "fontsize": 8, "parse_math": False}
        figure.text(0.02, top / height, caption, color=MUTED, **options)
        figure.text(0.26, top / height, text, **options)
        top -= _INCHES * (text.count("\n") + 2)
    return figure
