"""What the model of a recipe says of single examples, such as files that are in no part of the data."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from fjdl.batch import alone, assembled
from fjdl.errors import UsageError
from fjdl.train.answers import Answer, Classified
from fjdl.train.precision import at_precision
from fjdl.train.recipe import Batch, Recipe
from fjdl.train.step import weighed
from fjdl.train.summary import Summary
from fjdl.typing import Array, PyTree

Example = Mapping[str, Any]
NO_ANSWERS = "recipe must have a task that gives answers, such as classification, got one without"


def answer_of(summary: Summary) -> Callable[[Any, Batch], Answer] | None:
    """The summary's `answer`, or its detections or probabilities as one, or None for a task without answers."""
    detections, probabilities = summary.detections, summary.probabilities
    if summary.answer is not None:
        return summary.answer
    if detections is not None:
        return lambda outputs, batch: detections(outputs)
    return None if probabilities is None else lambda outputs, batch: Classified(probabilities(outputs))


def predictor(recipe: Recipe) -> Callable[[PyTree, PyTree, Example], Answer]:
    """`(params, stats, example) -> answer` about one example alone, whose arrays are on the host.

    It compiles once for each shape of an example. Raises `UsageError` for a recipe whose task has no answers.
    """
    answer = answer_of(recipe.told)
    if answer is None:
        raise UsageError(NO_ANSWERS)
    return _of_one(recipe, answer)


def batch_predictor(recipe: Recipe) -> Callable[[PyTree, PyTree, Example], Answer]:
    """`(params, stats, examples) -> answer` about a batch of examples, else like `predictor`."""
    answer = answer_of(recipe.told)
    if answer is None:
        raise UsageError(NO_ANSWERS)
    compute = _compiled(recipe, answer)

    def ask(params: PyTree, stats: PyTree, examples: Example) -> Answer:
        count = len(next(iter(examples.values())))
        arrays = {name: jnp.asarray(array) for name, array in examples.items()}
        return jax.device_get(compute(params, stats, assembled(arrays, jnp.arange(count), jnp.ones(count))))

    return ask


def judge(recipe: Recipe) -> Callable[[PyTree, PyTree, Example], float]:
    """`(params, stats, example) -> score`: the headline of the recipe, computed from one example of a part alone.

    It compiles once for each shape of an example. The score is NaN where the example has nothing to measure.
    """
    headline = recipe.told.headline

    def score(outputs: Any, batch: Batch) -> Array:
        if headline == "loss":
            values, mask, weights = weighed(recipe.loss, outputs, batch)
            counted = mask if weights is None else jnp.where(mask, weights, 0)
            return jnp.sum(jnp.where(counted > 0, values, 0) * counted) / jnp.sum(counted)
        metric = recipe.metrics[headline]
        return metric.compute(metric.update(metric.init(), outputs, batch))

    compute = _of_one(recipe, score)
    return lambda params, stats, example: float(compute(params, stats, example))


def _of_one(recipe: Recipe, function: Callable[[Any, Batch], Any]) -> Callable[[PyTree, PyTree, Example], Any]:
    """The function of outputs and batch, for one example in a batch of its own."""
    compute = _compiled(recipe, function)
    return lambda params, stats, example: jax.device_get(compute(params, stats, alone(example)))


def _compiled(recipe: Recipe, function: Callable[[Any, Batch], Any]) -> Callable[[PyTree, PyTree, Batch], Any]:
    """The function of outputs and batch, of parameters and batch, whose examples all begin a sequence."""
    network = recipe.network

    def compute(params: PyTree, stats: PyTree, batch: Batch) -> Any:
        count = next(iter(batch.values())).shape[0]
        return function(network(params, stats, batch, network.begin(count), train=False).outputs, batch)

    return jax.jit(at_precision(recipe.precision, compute))
