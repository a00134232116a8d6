"""What a model says of examples, in terms of its task: one type for each kind of answer.

`Summary.answer` makes them of outputs and batch, which holds at least what the model saw, `Summary.probabilities` and
`Summary.detections` of outputs. `fjdl.boxes.Detections` are in pixels of the image that the model saw.
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


class Estimated(NamedTuple):
    """Numbers that are predicted, in the units of the target, for each example."""

    values: Array  # [n, numbers]


Answer = Classified | Segmented | Estimated | Detections
