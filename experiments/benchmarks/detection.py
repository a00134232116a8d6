"""COCO's evaluation of the detections of a whole data set: fjdl and pycocotools."""

import contextlib
import io
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np

from experiments.benchmarks.comparison import Comparison
from fjdl import metrics

Image = dict[str, np.ndarray]
PER_IMAGE = 100  # detections


def comparisons(images: int, classes: int = 80) -> Iterator[Comparison]:
    """One comparison, where pycocotools is installed; refuses to compare different results."""
    if not find_spec("pycocotools"):
        return
    rng = np.random.default_rng(0)
    detections, truth = zip(*[_scene(rng, classes) for _ in range(images)], strict=True)
    theirs = _of_pycocotools(detections, truth, classes)

    def evaluate() -> Any:
        return metrics.coco_summary(metrics.coco_evaluation(detections, truth, classes=classes))

    def evaluate_there() -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            theirs.evaluate()
            theirs.accumulate()

    evaluate_there()
    with contextlib.redirect_stdout(io.StringIO()):
        theirs.summarize()
    np.testing.assert_allclose(evaluate(), theirs.stats, rtol=0, atol=1e-9)
    name = f"COCO's evaluation of {images:,} images, {classes} classes, {PER_IMAGE} detections in each"
    yield Comparison(name, {"fjdl": evaluate, "pycocotools": evaluate_there})


def _scene(rng: np.random.Generator, classes: int) -> tuple[Image, Image]:
    """Up to 14 objects, and detections near them, half of them of the right class."""
    few = int(rng.integers(1, 15))
    low, size = rng.uniform(0, 400, (few, 2)), np.exp(rng.uniform(np.log(8), np.log(240), (few, 2)))
    boxes, labels = np.concatenate([low, low + size], 1), rng.integers(0, classes, few)
    near = rng.integers(0, few, PER_IMAGE)
    found = boxes[near] + 0.15 * rng.standard_normal((PER_IMAGE, 4)) * np.tile(size[near], 2)
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
    guesses = np.where(rng.random(PER_IMAGE) < 0.5, labels[near], rng.integers(0, classes, PER_IMAGE))
    truth = {"boxes": boxes, "labels": labels, "crowd": rng.random(few) < 0.01, "area": 0.6 * size.prod(1)}
    return {"boxes": found, "scores": rng.random(PER_IMAGE), "labels": guesses}, truth


def _of_pycocotools(detections: Any, truth: Any, classes: int) -> Any:
    """`COCOeval` of the same boxes, before `evaluate`."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations = [
        {
            "id": place, "image_id": image, "category_id": int(objects["labels"][i]),
            "bbox": _sizes(objects["boxes"][i]), "area": float(objects["area"][i]),
            "iscrowd": int(objects["crowd"][i]),
        }
        for place, (image, objects, i) in enumerate(_rows(truth), start=1)
    ]  # fmt: skip
    results = [
        {
            "image_id": image, "category_id": int(found["labels"][i]), "bbox": _sizes(found["boxes"][i]),
            "score": float(found["scores"][i]),
        }
        for image, found, i in _rows(detections)
    ]  # fmt: skip
    there: Any = COCO()
    there.dataset = {
        "images": [{"id": image} for image in range(len(truth))],
        "categories": [{"id": label} for label in range(classes)],
        "annotations": annotations,
    }
    with contextlib.redirect_stdout(io.StringIO()):
        there.createIndex()
        return COCOeval(there, there.loadRes(results), "bbox")


def _rows(entries: Any) -> Iterator[tuple[int, Image, int]]:
    return ((image, entry, i) for image, entry in enumerate(entries) for i in range(len(entry["labels"])))


def _sizes(box: np.ndarray) -> list[float]:
    x0, y0, x1, y1 = box.tolist()
    return [x0, y0, x1 - x0, y1 - y0]
