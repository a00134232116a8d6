"""A fixed sample of the training part, which is measured after each epoch as the validation part is."""

from collections.abc import Callable

import numpy as np

from fjdl.data.orders import in_order
from fjdl.data.source import Source, Splits
from fjdl.train.evaluation import Evaluator, Results
from fjdl.train.recipe import Recipe
from fjdl.typing import PyTree


def training_sample(recipe: Recipe, splits: Splits) -> Source | None:
    """As many training examples as the validation part has, or all where there are fewer; None where none are measured.

    Examples lie evenly spaced over the part, which may be ordered by class; where sequences go on from batch to batch
    they are the first ones. None are measured where the recipe says so, where the data are streamed, since each would
    be made once more, where they have other shapes than those of the validation part, and where the order of the
    evaluation is one of its own.

    As many examples of the same shapes are the validation's own compiled program: nothing is compiled for them and no
    training step changes, so an epoch costs one more evaluation. Metrics of the batches as they were trained on would
    be of parameters that change below them, with dropout and augmented inputs, and so no match for the validation's.
    """
    train, validation, order = splits.train, splits.validation, recipe.evaluation_order
    streamed = train.streamed or validation.streamed
    if not recipe.training_sample or streamed or not (order is in_order or order.carries):
        return None
    if _shapes(train) != _shapes(validation):
        return None
    count = min(train.length, validation.length)
    if order.carries:
        return train._replace(length=count) if count == validation.length else None
    places = np.arange(count) * train.length // count
    return Source(count, lambda index: train.element(places[index]))


def measured_sample(recipe: Recipe, splits: Splits, evaluator: Evaluator) -> Callable[[PyTree, PyTree], Results]:
    """`(params, stats) -> results` on that sample, none where there is no sample."""
    sample = training_sample(recipe, splits)
    return (lambda params, stats: {}) if sample is None else evaluator.on(sample, part="train")


def _shapes(source: Source) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    example = {name: np.asarray(array) for name, array in source.element(0).items()}
    return {name: (array.shape, array.dtype) for name, array in example.items()}
