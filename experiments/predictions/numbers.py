"""Numbers that are predicted, in the units of the target."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from experiments.predictions.base import Limits, Told
from fjdl.data.source import Picture
from fjdl.train.answers import Estimated


def told(answer: Estimated, picture: Picture, classes: Sequence[str], limits: Limits) -> Told:
    """`{"prediction": number}`, or a list of numbers where the target has several."""
    del picture, classes, limits
    return Told(row(answer.values[0]), {})


def row(values: Any) -> dict[str, Any]:
    """The JSON of one example."""
    numbers = np.asarray(values, np.float64).tolist()
    return {"prediction": numbers[0] if len(numbers) == 1 else numbers}
