"""The class of each pixel, beside the truth."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from fjdl.plots.images import case_panels, class_legend, require_images, stretched
from fjdl.plots.overlays import VOID
from fjdl.plots.style import STYLE, class_colours
from fjdl.typing import Array, Integer, Num, typed

_INCHES = 1.9  # of one image


@typed
@matplotlib.rc_context(STYLE)
def segments_figure(
    images: Num[Array, "n h w c"],
    true: Integer[Array, "n h w"],
    predicted: Integer[Array, "n h w"],
    *,
    captions: Sequence[str],
    classes: Sequence[str],
    title: str,
    note: str = "",
) -> Figure:
    """Each image beside its true and its predicted classes, the first half on the left and the others on the right.

    A class has one colour everywhere, that of `style.class_colours`, and a legend names those that occur; other values,
    such as 255, are void. Images are drawn as by `image_grid`, and `ValueError` is raised as there.
    """
    require_images(images, captions)
    heads = ("image", "truth", "prediction")
    size = (images.shape[1], images.shape[2])
    figure, panels = case_panels(captions, heads, size=size, title=title, note=note, inches=_INCHES)
    table = np.concatenate([class_colours(len(classes)), np.array([VOID], np.uint8)])
    masks = [_known(np.asarray(mask), len(classes)) for mask in (true, predicted)]
    for number, image in enumerate(stretched(images)):
        first, *others = panels[number]
        first.imshow(image, cmap="gray", vmin=0, vmax=1)
        for axes, mask in zip(others, masks, strict=True):
            axes.imshow(table[mask[number]])
    shown = np.unique(masks)
    class_legend(figure, [[*classes, "void"][label] for label in shown], table[shown])
    return figure


def _known(mask: np.ndarray, classes: int) -> np.ndarray:
    """The mask with one number behind the classes for everything that is none."""
    return np.where((mask >= 0) & (mask < classes), mask, classes).astype(np.int64)
