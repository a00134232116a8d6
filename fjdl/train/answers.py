"""What a model says of examples, in terms of its task: one type for each kind of answer.

A task makes answers of `(outputs, batch)`, where the batch needs to hold only what the model sees
(`Summary.answer`). Another kind, that of a detector, is `fjdl.boxes.Detections`, in pixels of the image that the model
saw.
"""

from typing import NamedTuple

from fjdl.boxes import Detections
from fjdl.typing import Array


class Classified(NamedTuple):
    """The probability of each class, for each example."""

    probabilities: Array  # [n, classes]


class Segmented(NamedTuple):
    """The class of each pixel of the image that the model saw."""

    classes: Array  # int32 [n, h, w]


Answer = Classified | Segmented | Detections
