"""What the kinds of answers share: what is told of one file, names of classes, and which examples a figure shows."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from experiments.evaluate import LoadedRun

BACKGROUND = "background"  # the class that overlays leave as it is


class Told(NamedTuple):
    """What is told of one file."""

    numbers: dict[str, Any]  # its JSON
    pictures: dict[str, bytes]  # PNG files by what stands behind the name of the file: "mask", "overlay"


class Limits(NamedTuple):
    """How much is told."""

    top: int = 5  # classes of an image, the most probable ones
    least: float = 0.3  # score of a box


def class_name(classes: Sequence[str], label: int) -> str:
    """The name of a class, or its number where it has none."""
    return classes[label] if 0 <= label < len(classes) else str(label)


def variables_of(run: LoadedRun) -> tuple[Any, Any]:
    """The parameters and the statistics that a run is evaluated with."""
    from fjdl.train.state import evaluated_params

    return evaluated_params(run.state), run.state.stats


def worst_and_best(
    scores: Sequence[float], *, better: Literal["max", "min"] = "max", most: int = 4
) -> list[tuple[int, str]]:
    """Places of at most `most` examples of the worst scores, the worst first, and of as many of the best.

    Each is once among them, with a caption. Scores that are not finite are left out; of equal ones the first counts as
    the worse.
    """
    values = np.asarray(scores, np.float64)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known] if better == "max" else -values[known], kind="stable")]
    worst, best = order[: min(most, -(-len(order) // 2))], order[::-1][: min(most, len(order) // 2)]
    return [
        *((int(k), f"worst: {values[k]:.2f}") for k in worst),
        *((int(k), f"best: {values[k]:.2f}") for k in best),
    ]


def shown(run: LoadedRun, places: Sequence[int]) -> list[Any]:
    """Examples of the test part."""
    return [run.splits.test.element(place) for place in places]
