"""Answers about single examples, by the task, and the score of one example alone."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.boxes import Detections
from fjdl.data.source import Splits, from_arrays
from fjdl.errors import UsageError
from fjdl.model import Model
from fjdl.train.answers import Classified, Estimated, Segmented
from fjdl.train.prediction import answer_of, batch_predictor, judge, predictor
from fjdl.train.recipe import Recipe
from fjdl.train.summary import Summary
from fjdl.train.tasks import classification, localization, regression, segmentation
from tests.train.toy import recipe

IMAGE = np.array([[[0], [10], [200]], [[90], [255], [0]]], np.uint8)  # two of six pixels are bright
MASK = np.array([[0, 1, 1], [255, 1, 0]], np.uint8)


def thresholds(**changes: Any) -> Recipe:
    """Its "network" calls pixels above a half class 1."""
    part = from_arrays({"image": IMAGE[None], "mask": MASK[None]})
    task = segmentation(2)
    settings: dict[str, Any] = {
        "splits": lambda: Splits(name="two", train=part, validation=part, test=part, classes=("dark", "bright")),
        "model": Model(lambda key, x: ({}, {}), lambda p, s, x, **_: (jnp.concatenate([0.5 - x, x - 0.5], -1), s)),
        "inputs": lambda batch: batch["image"] / 255,
        "loss": task.loss,
        "metrics": task.metrics,
        "monitor": "mean_iou",
    }
    return recipe(**{**settings, **changes})


def test_a_mask_is_answered_and_its_score_is_that_of_its_image_alone() -> None:
    """Class 0 has 2 pixels right of 3 that are either's, class 1 has 2 of 3; void counts nowhere."""
    made = thresholds()
    answer = predictor(made)({}, {}, {"image": IMAGE})
    assert isinstance(answer, Segmented)
    np.testing.assert_array_equal(answer.classes, [[[0, 0, 1], [0, 1, 0]]])
    example = {"image": IMAGE, "mask": MASK}
    np.testing.assert_allclose(judge(made)({}, {}, example), 2 / 3, rtol=1e-6)
    shares = np.exp(2 * (IMAGE[..., 0] / 255 - 0.5))
    nats = np.where(MASK == 1, np.log1p(1 / shares), np.log1p(shares))[MASK != 255].mean()
    by_loss = thresholds(summary=Summary("loss", better="min"))
    np.testing.assert_allclose(judge(by_loss)({}, {}, example), nats, rtol=1e-5)


def test_probabilities_are_answers_of_a_classifier() -> None:
    made = recipe(model=Model(lambda key, x: ({}, {}), lambda p, s, x, **_: (jnp.log(x.reshape(len(x), -1)), s)))
    image = np.arange(1, 5, dtype=np.float32).reshape(2, 2, 1)
    answer = predictor(made)({}, {}, {"image": image})
    assert isinstance(answer, Classified)
    np.testing.assert_allclose(answer.probabilities, [[0.1, 0.2, 0.3, 0.4]], rtol=1e-6)


def test_a_localizer_answers_with_one_box_in_pixels_or_none() -> None:
    """An image of 20 x 40; the box's centre is the middle and its sides are a half and a quarter."""
    summary = localization(3, background=0).loss.summary
    assert summary is not None
    answer = answer_of(summary)
    assert answer is not None
    logits = jnp.log(jnp.array([[0.1, 0.7, 0.2], [0.6, 0.2, 0.2], [jnp.nan, 0.5, 0.5]]))
    outputs = {"logits": logits, "box": jnp.tile(jnp.array([[0.5, 0.5, 0.5, 0.25]]), (3, 1))}
    found = jax.jit(answer)(outputs, {"image": jnp.zeros((3, 20, 40, 3))})
    assert isinstance(found, Detections)
    np.testing.assert_allclose(found.boxes[0], [[10, 7.5, 30, 12.5]])
    np.testing.assert_array_equal(found.boxes[1:], 0)
    np.testing.assert_allclose(found.scores[:, 0], [0.7, 0, 0], rtol=1e-6)
    assert (found.labels[:, 0].tolist(), found.valid[:, 0].tolist()) == ([1, 0, 0], [True, False, False])


def test_tasks_without_answers_are_refused() -> None:
    without = recipe(loss=lambda outputs, batch: outputs[:, 0], metrics={}, monitor="loss", mode="min")
    for make in (predictor, batch_predictor):
        with pytest.raises(UsageError, match=r"^recipe must have a task that gives answers, such as classification, g"):
            make(without)


def test_a_regression_gives_numbers_of_one_example_and_of_many() -> None:
    task = regression()
    made = recipe(
        model=Model(lambda key, x: ({}, {}), lambda p, s, x, **_: (x[:, 0, 0] * 2, s)),
        loss=task.loss, metrics=task.metrics, monitor="rmse", mode="min",
    )  # fmt: skip
    image = np.random.default_rng(0).random((3, 8, 8, 1), np.float32)
    many = batch_predictor(made)({}, {}, {"image": image})
    assert isinstance(many, Estimated)
    np.testing.assert_array_equal(many.values, 2 * image[:, 0, 0])
    np.testing.assert_array_equal(predictor(made)({}, {}, {"image": image[1]}).values, many.values[1:2])


def test_classifiers_have_answers() -> None:
    assert answer_of(classification(3).loss.summary or Summary("loss")) is not None
