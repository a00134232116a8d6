"""Images that were changed so that a network errs, and how its accuracy falls."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from fjdl.plots.images import INCHES, caption_size, require_images, show, stretched
from fjdl.plots.style import DIVERGING, MUTED, STYLE, colour_bar
from fjdl.typing import Array, Num, typed


@typed
@matplotlib.rc_context(STYLE)
def adversarial_figure(
    images: Num[Array, "n h w c"],
    changed: Num[Array, "n h w c"],
    *,
    before: Sequence[str],
    after: Sequence[str],
    title: str,
    note: str = "",
) -> Figure:
    """Three rows: the images, the change with the largest of all as its scale, and what they were changed to.

    The change is the mean over channels. `before` and `after` are captions of the first and the last row. Raises
    `ValueError` as `image_grid` does.
    """
    require_images(images, before)
    require_images(changed, after)
    change = np.asarray(changed, np.float64) - np.asarray(images, np.float64)
    limit = float(np.max(np.abs(change), where=np.isfinite(change), initial=0)) or 1.0
    scale, colours = Normalize(-limit, limit), matplotlib.colormaps[DIVERGING]
    both = stretched(np.concatenate([np.asarray(images, np.float64), np.asarray(changed, np.float64)]))
    figure = Figure(figsize=(max(INCHES * len(before) + 1.4, 5.0), 3.4 * INCHES + 0.9))
    figure.suptitle(title)
    figure.supxlabel(note, color=MUTED, fontsize=9)
    cells = figure.subplots(3, len(before), squeeze=False)
    for number in range(len(before)):
        show(cells[0, number], both[number], before[number], size=caption_size([before[number]]))
        cells[1, number].axis("off")
        cells[1, number].imshow(change[number].mean(axis=-1), cmap=colours, norm=scale)
        size = caption_size([after[number]])
        show(cells[2, number], both[len(before) + number], after[number], size=size)
    colour_bar(figure, ScalarMappable(scale, colours), cells, label="change", aspect=30, pad=0.02, panchor=False)
    return figure


@typed
@matplotlib.rc_context(STYLE)
def robustness_figure(
    radii: Sequence[float], accuracies: Mapping[str, Sequence[float]], *, title: str, xlabel: str = "radius"
) -> Figure:
    """Accuracy by the radius of an attack, a line for each attack by its name.

    Raises `ValueError` unless each has an accuracy in [0, 1] for each radius.
    """
    figure = Figure(figsize=(6.0, 4.0))
    figure.suptitle(title)
    axes = figure.subplots()
    for name, values in accuracies.items():
        if len(values) != len(radii) or not all(0 <= value <= 1 for value in values):
            raise ValueError(f"accuracies must lie in [0, 1], one for each of {len(radii)} radii, got {list(values)}")
        axes.plot(radii, values, marker="o", label=name)
    axes.set(xlabel=xlabel, ylabel="accuracy", ylim=(-0.02, 1.02))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend()
    return figure
