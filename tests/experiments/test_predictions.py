"""Which examples are shown beside the truth, by which score, and with what."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments.evaluate import LoadedRun
from experiments.plot import cases
from experiments.predictions.base import worst_and_best
from experiments.predictions.boxes import drawn_of, image_score, truth_of
from fjdl.boxes import Detections
from fjdl.data.source import Splits, from_arrays
from fjdl.model import Model
from fjdl.train.recipe import Recipe
from fjdl.train.summary import Summary
from fjdl.train.tasks import segmentation
from tests.train.toy import recipe

NAN = float("nan")


def run_of(arrays: dict[str, np.ndarray], classes: tuple[str, ...], **changes: Any) -> LoadedRun:
    """A run whose network gives the image from 0 to 1."""
    part = from_arrays(arrays)
    splits = Splits(name="cells", train=part, validation=part, test=part, classes=classes)
    model = Model(lambda key, x: ({}, {}), lambda p, s, x, **_: (x, s))
    made: Recipe = recipe(splits=lambda: splits, model=model, inputs=lambda batch: batch["image"] / 255, **changes)
    state: Any = SimpleNamespace(params={}, stats={}, ema=())
    return LoadedRun(made, splits, None, state)


def captions(figure: Figure) -> list[str]:
    return [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]


@pytest.mark.parametrize(
    ("scores", "better", "places"),
    [
        ([0.5, NAN, 0.1, 0.9, 0.5], "max", [2, 0, 3, 4]),
        ([3.0, 1.0, 2.0], "min", [0, 2, 1]),
        ([0.4], "max", [0]),
        ([NAN], "max", []),
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], "max", [0, 1, 5, 4]),
    ],
)
def test_the_worst_come_first_and_then_the_best_each_once(scores: list[float], better: Any, places: list[int]) -> None:
    found = worst_and_best(scores, better=better, most=2)
    assert [place for place, _ in found] == places
    words = [caption.split(": ") for _, caption in found]
    assert [float(number) for _, number in words] == [scores[place] for place in places]
    assert [kind for kind, _ in words] == sorted((kind for kind, _ in words), reverse=True)


def test_segments_are_ordered_by_the_score_of_each_image() -> None:
    """Bright pixels are cells: of three images one is right, one half right, one wrong."""
    image = np.zeros((3, 2, 2, 1), np.uint8)
    image[:, 0] = 255
    mask = np.array([[[1, 1], [0, 0]], [[1, 0], [0, 1]], [[0, 0], [1, 1]]], np.uint8)
    task = segmentation(2)

    def logits(p: Any, s: Any, x: Any, **_: Any) -> Any:
        return jnp.concatenate([0.5 - x, x - 0.5], axis=-1), s

    run = run_of(
        {"image": image, "mask": mask}, ("none", "cell"), loss=task.loss, metrics=task.metrics, monitor="mean_iou"
    )
    chosen = dataclasses.replace(run.recipe, model=Model(run.recipe.model.init, logits))
    drawn = cases(dataclasses.replace(run, recipe=chosen), title="cells, test part")
    assert drawn.keys() == {"cases"}
    assert captions(drawn["cases"]) == ["worst: 0.00", "best: 1.00", "worst: 0.33"]  # row by row
    assert drawn["cases"].get_supxlabel() == "mean IoU of each image; 3 of 3 images"


def test_boxes_are_ordered_by_the_precision_of_each_image_and_one_without_objects_is_left_out() -> None:
    """A box is found at the left in each image: right in the first, not in the second; the third has no object."""
    boxes = np.array([[[0, 0, 4, 4]], [[4, 4, 8, 8]], [[0, 0, 0, 0]]], np.float32)
    arrays = {
        "image": np.zeros((3, 8, 8, 1), np.uint8), "boxes": boxes, "labels": np.array([[1], [1], [0]], np.int32),
        "valid": np.array([[True], [True], [False]]),
    }  # fmt: skip

    def found(outputs: Any) -> Detections:
        ones = jnp.ones((1, 1))
        return Detections(jnp.array([[[0.0, 0, 4, 4]]]), 0.9 * ones, ones.astype(jnp.int32), ones > 0)

    run = run_of(
        arrays, ("RBC", "WBC"), loss=lambda outputs, batch: outputs[:, 0, 0, 0], metrics={}, monitor="loss", mode="min",
        summary=Summary("loss", better="min", detections=found),
    )  # fmt: skip
    drawn = cases(run, title="cells")
    assert drawn.keys() == {"cases", "precision_recall"}
    assert captions(drawn["cases"]) == ["worst: 0.00", "best: 1.00"]
    curve = drawn["precision_recall"]
    [line] = curve.axes[0].lines
    np.testing.assert_allclose(line.get_xdata(), [0, 50, 50, 50])  # equal scores: the first image comes first
    np.testing.assert_allclose(line.get_ydata(), [100, 100, 50, 100 / 3])
    assert [text.get_text() for text in curve.legends[0].get_texts()] == ["WBC (50.0)"]


def test_the_score_of_an_image_is_cocos_average_precision() -> None:
    """An IoU of 0.8 is enough for 7 of the ten thresholds; of two objects one is found: precision 1 at 51 of 101."""
    found = {"boxes": np.array([[0.0, 0, 8, 10]]), "scores": np.array([0.5]), "labels": np.array([0])}
    truth = {"boxes": np.array([[0.0, 0, 10, 10]]), "labels": np.array([0])}
    np.testing.assert_allclose(image_score(found, truth, classes=2), 0.7)
    two = {"boxes": np.array([[0.0, 0, 8, 10], [50, 50, 60, 60]]), "labels": np.array([0, 0])}
    np.testing.assert_allclose(image_score(found, two, classes=2), 51 / 101)
    assert np.isnan(image_score(found, {"boxes": np.zeros((0, 4)), "labels": np.zeros(0, int)}, classes=2))


def test_the_truth_is_the_valid_boxes_or_the_one_of_a_localizer_in_pixels() -> None:
    boxes = np.array([[0, 0, 1, 1], [2, 2, 3, 3], [0, 0, 0, 0]], np.float32)
    example = {
        "boxes": boxes, "labels": np.array([4, 5, 0]), "valid": np.array([True, True, False]),
        "crowd": np.array([True, False, False]), "difficult": np.array([False, False, False]),
    }  # fmt: skip
    truth = truth_of(example)
    np.testing.assert_array_equal(truth["boxes"], boxes[:2])
    assert (truth["labels"].tolist(), truth["difficult"].tolist()) == ([4, 5], [True, False])
    image = np.zeros((20, 40, 3), np.uint8)
    one = truth_of({"image": image, "box": np.array([0.5, 0.5, 0.5, 0.25]), "label": np.array(2)})
    np.testing.assert_allclose(one["boxes"], [[10, 7.5, 30, 12.5]])
    assert one["labels"].tolist() == [2]
    assert truth_of({"image": image, "box": np.zeros(4), "label": np.array(0)})["boxes"].shape == (0, 4)


def test_a_task_without_such_answers_has_no_cases() -> None:
    made = recipe()
    assert cases(LoadedRun(made, made.splits(), None, None), title="") == {}


@pytest.mark.parametrize(("objects", "scores"), [(0, [0.3, 0.8]), (1, [0.3, 0.8]), (3, [0.1, 0.3, 0.8]), (9, None)])
def test_figures_have_boxes_of_some_score_and_one_for_each_object(objects: int, scores: list[float] | None) -> None:
    found = {"boxes": np.arange(16.0).reshape(4, 4), "scores": np.array([0.1, 0.3, 0.05, 0.8]), "labels": np.arange(4)}
    drawn = drawn_of(found, objects=objects)
    assert drawn.scores.tolist() == (scores or found["scores"].tolist())
    np.testing.assert_array_equal(drawn.boxes, found["boxes"][drawn.labels])
