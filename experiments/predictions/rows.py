"""What is told of many examples at once, such as the rows of a table."""

from collections.abc import Sequence
from typing import Any

from experiments.predictions import classes as of_classes, numbers
from experiments.predictions.base import Limits
from fjdl.errors import UsageError
from fjdl.train.answers import Classified, Estimated


def told(answer: Any, classes: Sequence[str], limits: Limits) -> list[dict[str, Any]]:
    """The JSON of each example; raises `UsageError` for answers that need an image, such as masks and boxes."""
    if isinstance(answer, Classified):
        return [of_classes.row(each, classes, limits) for each in answer.probabilities]
    if isinstance(answer, Estimated):
        return [numbers.row(each) for each in answer.values]
    raise UsageError(f"rows are told of by classes and numbers alone, got {type(answer).__name__}: name image files")
