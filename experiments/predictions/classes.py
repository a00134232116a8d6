"""Classes of images: the most probable ones."""

from collections.abc import Sequence

import numpy as np

from experiments.predictions.base import Limits, Told, class_name
from fjdl.data.source import Picture
from fjdl.train.answers import Classified


def told(answer: Classified, picture: Picture, classes: Sequence[str], limits: Limits) -> Told:
    """`{"classes": [{"class": name, "probability": p}, …]}`, the most probable class first."""
    del picture
    probabilities = np.asarray(answer.probabilities[0], np.float64)
    ranked = np.argsort(-probabilities, kind="stable")[: limits.top]
    rows = [{"class": class_name(classes, int(k)), "probability": round(float(probabilities[k]), 6)} for k in ranked]
    return Told({"classes": rows}, {})
