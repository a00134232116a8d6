"""The shapes that tasks take: pixels, padded boxes and padded sequences are trained, evaluated and told alike."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score

from experiments.command import Experiment
from experiments.train import train
from fjdl import boxes, metrics, optim
from fjdl.data.source import Source, Splits, from_arrays
from fjdl.losses import diou_loss
from fjdl.model import Model
from fjdl.train import Recipe
from fjdl.train.prepare import prepare
from fjdl.train.resume import read_best
from fjdl.train.rundir import RunDirectory
from fjdl.train.summary import Summary
from fjdl.train.tasks import Task, TaskLoss, segmentation, translation

Params = dict[str, Any]


def linear(shapes: Mapping[str, tuple[int, ...]], outputs: Callable[[Params, Any], Any]) -> Model:
    """A model whose parameters begin at 0."""

    def init(key: Any, inputs: Any) -> tuple[Params, Params]:
        del key, inputs
        return {name: jnp.zeros(shape) for name, shape in shapes.items()}, {}

    return Model(init, lambda params, stats, inputs, **_: (outputs(params, inputs), stats))


def trained(task: Task, model: Model, data: Source, inputs: str, path: Path) -> tuple[dict[str, Any], Any]:
    """The result of a short training, and the outputs of its best epoch for all examples."""
    summary = task.loss.summary
    assert summary is not None
    recipe = Recipe(
        splits=lambda: Splits(name="toy", train=data, validation=data, test=data, classes=("no", "yes")),
        model=model,
        inputs=lambda batch: batch[inputs],
        loss=task.loss,
        metrics=task.metrics,
        optimizer=lambda steps: optim.adam(0.3),
        epochs=6,
        batch_size=8,
        monitor=summary.headline,
        mode=summary.better,
    )
    result = train(Experiment(recipe, {"config": "toy.py", "sha256": "0", "arguments": {}}), path)
    assert result["headline"] == summary.headline
    program = prepare(recipe).program
    state = read_best(RunDirectory(path=path), jax.eval_shape(program.init), program.steps_per_epoch)
    return result, program.evaluator.predict(state.params, state.stats, data)


COUNT = 21  # not a multiple of the batch


@pytest.mark.by_day_on_pin(1)
def test_pixels_have_a_confusion_matrix_and_the_headline_of_their_mean_iou(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    image = rng.random((COUNT, 6, 6), np.float32)
    mask = (image + 0.2 * rng.random(image.shape) > 0.7).astype(np.int32)
    mask[:, :2] = 255
    model = linear(
        {"w": (2,), "b": (2,)}, lambda p, x: x[..., None] * p["w"][None, None, None] + p["b"][None, None, None]
    )
    data = from_arrays({"image": image, "mask": mask})
    result, logits = trained(segmentation(2), model, data, "image", tmp_path)
    labels, found = mask[mask != 255], logits.argmax(-1)[mask != 255]
    assert result["test"]["confusion"] == confusion_matrix(labels, found).tolist()
    iou = jaccard_score(labels, found, average=None)
    np.testing.assert_allclose(result["test"]["iou"], iou, rtol=1e-6)
    np.testing.assert_allclose(result["test"]["mean_iou"], iou.mean(), rtol=1e-6)
    np.testing.assert_allclose(result["test"]["dice"], f1_score(labels, found, average=None), rtol=1e-6)
    assert result["test"]["count"] == labels.size
    assert result["test"]["foreground_dice"] == result["test"]["dice"][1]
    assert iou.mean() > 0.6
    surprisal = np.logaddexp.reduce(logits, axis=-1) - np.take_along_axis(logits, mask[..., None] % 2, -1)[..., 0]
    np.testing.assert_allclose(result["test"]["loss"], surprisal[mask != 255].mean(), rtol=1e-5)


def detection() -> Task:
    """Boxes `[n, m, 4]` against `batch["boxes"]`, of which those count whose `batch["present"]` is 1."""

    def overlap(outputs: Any, batch: Any) -> Any:
        return (boxes.iou(outputs, batch["boxes"]),)

    def loss(outputs: Any, batch: Any) -> Any:
        return diou_loss(outputs, batch["boxes"]), batch["present"]

    mean_overlap = metrics.on(metrics.mean(), overlap, weights=lambda batch: batch["present"])
    return Task(TaskLoss(loss, (), Summary("mean_overlap")), {"mean_overlap": mean_overlap})


@pytest.mark.by_day_on_pin(1)
def test_boxes_that_only_fill_up_count_neither_in_the_loss_nor_in_the_headline(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    corner = rng.random((COUNT, 3, 2), np.float32)
    found = np.concatenate([corner, corner + 0.5 + rng.random((COUNT, 3, 2), np.float32)], axis=-1)
    present = (np.arange(3) < rng.integers(0, 4, COUNT)[:, None]).astype(np.float32)
    found[present == 0] = 0
    x = corner.reshape(COUNT, 6)
    model = linear(
        {"w": (6, 12), "b": (12,)},
        lambda p, x: (x @ p["w"] + p["b"][None]).reshape(-1, 3, 4) + jnp.array([0.0, 0.0, 1.0, 1.0])[None, None],
    )
    data = from_arrays({"x": x, "boxes": found, "present": present})
    result, outputs = trained(detection(), model, data, "x", tmp_path)

    def area(corners: Any) -> Any:
        return np.prod(np.maximum(corners[..., 2:] - corners[..., :2], 0), axis=-1)

    low, high = np.maximum(outputs[..., :2], found[..., :2]), np.minimum(outputs[..., 2:], found[..., 2:])
    common = area(np.concatenate([low, high], axis=-1))
    iou = (common / (area(outputs) + area(found) - common))[present == 1]
    np.testing.assert_allclose(result["test"]["mean_overlap"], iou.mean(), rtol=1e-4)
    assert 0.05 < iou.mean() <= 1


@pytest.mark.by_day_on_pin(1)
def test_sequences_of_several_lengths_have_the_perplexity_of_their_tokens(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tokens = (rng.integers(0, 5, (COUNT, 1)) + np.arange(9)) % 5  # each follows from the one before it
    length = rng.integers(1, 10, COUNT).astype(np.int32)
    tokens[np.arange(9) >= length[:, None]] = 0
    data = from_arrays({"target": tokens.astype(np.int32), "target_length": length})
    model = linear({"table": (5, 5)}, lambda p, x: p["table"][x[:, :-1]])
    result, logits = trained(translation(5), model, data, "target", tmp_path)
    surprisal = np.logaddexp.reduce(logits, axis=-1) - np.take_along_axis(logits, tokens[:, 1:, None], -1)[..., 0]
    counted = np.arange(1, 9) < length[:, None]
    mean = surprisal[counted].mean()
    assert result["test"]["count"] == counted.sum()
    low, high = result["test"]["perplexity_range"]
    assert low < result["test"]["perplexity"] < high
    np.testing.assert_allclose(result["test"]["loss"], mean, rtol=1e-4)
    np.testing.assert_allclose(result["test"]["perplexity"], np.exp(mean), rtol=1e-5)
    assert result["test"]["perplexity"] < 2.5  # of 5 at the start


def test_weights_of_another_shape_are_refused() -> None:
    data = from_arrays({"x": np.ones((8, 2), np.float32)})
    task = Task(TaskLoss(lambda outputs, batch: (outputs, jnp.ones(8))), {})
    recipe = Recipe(
        splits=lambda: Splits(name="toy", train=data, validation=data, test=data, classes=()),
        model=linear({}, lambda p, x: x),
        inputs=lambda batch: batch["x"],
        loss=task.loss,
        metrics=task.metrics,
        optimizer=lambda steps: optim.sgd(1.0),
        epochs=1,
        batch_size=8,
        monitor="loss",
    )
    program = prepare(recipe).program
    with pytest.raises(ValueError, match=r"^loss must give a weight for each value, got shapes \(8,\) and \(8, 2\)"):
        jax.eval_shape(program.evaluator.whole, {}, {}, {"x": np.ones((8, 2), np.float32)})
