"""Classes of images: the most probable ones."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.predictions.base import Limits, Told, class_name
from fjdl.data.source import Picture
from fjdl.train.answers import Classified


def told(answer: Classified, picture: Picture, classes: Sequence[str], limits: Limits) -> Told:
    """`{"class": name, "probability": p, "classes": [{"class": name, "probability": p}, …]}`, the best class first."""
    del picture
    return Told(row(answer.probabilities[0], classes, limits), {})


def row(answer: Any, classes: Sequence[str], limits: Limits) -> dict[str, Any]:
    """The JSON of one example by its probabilities."""
    probabilities = np.asarray(answer, np.float64)
    ranked = np.argsort(-probabilities, kind="stable")[: limits.top]
    rows = [{"class": class_name(classes, int(k)), "probability": round(float(probabilities[k]), 6)} for k in ranked]
    return {**rows[0], "classes": rows}
