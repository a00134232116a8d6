"""Prediction from several views of an input."""

from collections.abc import Callable, Sequence
from typing import Any

from fjdl.nn.model import Model
from fjdl.typing import PyTree

View = tuple[float, Callable[[Any], Any]]


def averaged_views(model: Model, views: Sequence[View]) -> Model:
    """The model whose prediction is the weighted sum of those of several views; in training it is the model itself.

    `views` are pairs of a weight and a function of the whole batch of inputs, such as a mirror image. Averages of
    logits keep their scale where the weights sum to 1. Krizhevsky et al. 2012 (ten crops). Raises `ValueError` for no
    views.
    """
    if not views:
        raise ValueError("views must not be empty, got none")

    def apply(params: PyTree, stats: PyTree, inputs: Any, *, train: bool = False, **options: Any) -> tuple[Any, PyTree]:
        if train:
            return model.apply(params, stats, inputs, train=True, **options)
        outputs = (weight * model.apply(params, stats, view(inputs), train=False)[0] for weight, view in views)
        return sum(outputs), stats

    return model._replace(apply=apply)
