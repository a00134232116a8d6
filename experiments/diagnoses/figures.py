"""Figures of a look into a network: units, and distributions by layer."""

from pathlib import Path
from typing import Any

import numpy as np

from experiments.diagnoses.measured import Looked
from experiments.evaluate import LoadedRun
from fjdl.plots import histograms_figure, save, units_figure

COLUMNS = ("activations", "gradients", "parameters")
MOST_LAYERS = 8


def draw(path: Path, run: LoadedRun, looked: Looked) -> list[Path]:
    """Writes the figures that the network allows into the run's folder plots/, and says where."""
    figures = {"distributions": distributions(looked, title=f"Distributions: {run.splits.name}, training part")}
    for kind, shares in (("zero", looked.zero), ("saturated", looked.saturated)):
        if shares:
            short = {name.split("/", 1)[-1]: each.tolist() for name, each in shares.items()}
            figures[f"units_{kind}"] = units_figure(short, kind=kind, title=f"Units that are {kind}: {run.splits.name}")
    written = []
    for name, figure in figures.items():
        if figure is not None:
            written.append(path / "plots" / f"{name}.png")
            save(figure, written[-1])
    return written


def distributions(looked: Looked, *, title: str) -> Any:
    """A row for each layer, some of them evenly spaced where there are many; None without layers."""
    layers = list(looked.histograms["parameters"])
    layers = [name for name in looked.gradient if name in layers] or layers
    if not layers:
        return None
    places = np.unique(np.linspace(0, len(layers) - 1, min(len(layers), MOST_LAYERS)).round().astype(int))
    rows = {
        layers[place]: {
            column: (each[layers[place]].counts, each[layers[place]].edges)
            for column, each in looked.histograms.items()
            if layers[place] in each
        }
        for place in places
    }
    note = f"{len(rows)} of {len(layers)} layers; shares of entries, logarithmic"
    return histograms_figure(rows, columns=COLUMNS, title=title, note=note)
