"""Several drawn figures as one picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.image import imread

from fjdl.plots.files import save

_WIDTH, _ROW = 11.0, 3.4  # inches


def montage(paths: Sequence[Path], path: Path, *, columns: int = 2, about: str | None = None) -> None:
    """Writes one PNG with the pictures in `paths` in rows of `columns`, each as large as its cell allows.

    `about` is as in `save`. Raises `ValueError` where there is no picture.
    """
    if not paths:
        raise ValueError("paths must name at least one picture, got none")
    rows = -(-len(paths) // columns)
    figure = Figure(figsize=(_WIDTH, rows * _ROW), layout="constrained")
    for number, source in enumerate(paths, start=1):
        axes = figure.add_subplot(rows, columns, number)
        axes.imshow(imread(source), interpolation="antialiased")
        axes.set_axis_off()
    save(figure, path, about=about)
