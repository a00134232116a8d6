"""Boxes around objects: JSON and overlays; worst and best cases beside the truth, and precision over recall."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.evaluate import LoadedRun
from experiments.predictions.base import Limits, Told, class_name, shown, variables_of, worst_and_best
from fjdl import metrics
from fjdl.boxes import Detections
from fjdl.data.source import Picture

SHOWN = 0.3  # score from which on a figure has all boxes


def told(answer: Detections, picture: Picture, classes: Sequence[str], limits: Limits) -> Told:
    """`{"boxes": [{"class": name, "score": s, "box": [x0, y0, x1, y1]}, …]}` by falling score, and an overlay.

    Corners are in pixels of the file, to a thousandth, where pixel (0, 0) covers [0, 1] x [0, 1].
    """
    from fjdl.plots import class_colours, image_png, outlined

    found = found_of(answer)
    kept = found["scores"] >= limits.least
    labels, scores = found["labels"][kept], found["scores"][kept]
    corners = picture.boxes(found["boxes"][kept])
    names = [class_name(classes, int(label)) for label in labels]
    rows = [
        {"class": name, "score": round(float(score), 6), "box": [round(float(side), 3) for side in box]}
        for name, score, box in zip(names, scores, corners, strict=True)
    ]
    colours = class_colours(max(len(classes), int(labels.max(initial=-1)) + 1))[labels]
    captions = [f"{name} {score:.2f}" for name, score in zip(names, scores, strict=True)]
    return Told(
        {"boxes": rows}, {"overlay": image_png(outlined(picture.original, corners, colours, captions=captions))}
    )


def figures(run: LoadedRun, *, title: str) -> dict[str, Any]:
    """Images of the test part beside what was found, the worst and the best ones, and precision over recall by class.

    The score of an image is COCO's average precision of it alone; an image without objects has none.
    """
    import jax.numpy as jnp

    from fjdl.plots import Drawn, boxes_figure, precision_recall_figure
    from fjdl.train.prediction import predictor

    source, classes, variables = run.splits.test, run.splits.classes, variables_of(run)
    answer: Any = predictor(run.recipe)
    found: list[dict[str, np.ndarray]] = []
    truth: list[dict[str, np.ndarray]] = []
    for number in range(source.length):
        example = source.element(number)
        found.append(found_of(answer(*variables, example)))
        truth.append(truth_of(example))
    cases = worst_and_best([image_score(*pair, classes=len(classes)) for pair in zip(found, truth, strict=True)])
    if not cases:
        return {}
    places = [place for place, _ in cases]
    spared = any(truth[place].get("difficult", np.zeros(0)).any() for place in places)
    figure = boxes_figure(
        jnp.asarray(np.stack([example["image"] for example in shown(run, places)])),
        [
            Drawn(truth[place]["boxes"], truth[place]["labels"], ignored=truth[place].get("difficult"))
            for place in places
        ],
        [drawn_of(found[place], objects=len(truth[place]["labels"])) for place in places],
        captions=[caption for _, caption in cases],
        classes=classes,
        title=title,
        note=f"COCO's average precision of each image; {len(cases)} of {source.length:,} images; boxes with a score of "
        f"{SHOWN} and more, and as many of the best as there are objects"
        + ("; objects that need not be found are dotted" if spared else ""),
    )
    curves = metrics.voc_curves(found, truth, classes=len(classes))
    precision = metrics.voc_evaluation(found, truth, classes=len(classes)).all_points
    curve = precision_recall_figure(curves, precision.tolist(), classes=classes, title=f"{title}, IoU of 0.5")
    return {"cases": figure, "precision_recall": curve}


def image_score(found: Mapping[str, np.ndarray], truth: Mapping[str, np.ndarray], *, classes: int) -> float:
    """COCO's average precision of one image, over its IoUs and the classes that are there; NaN without objects."""
    value = float(metrics.coco_summary(metrics.coco_evaluation([found], [truth], classes=classes)).ap)
    return value if value >= 0 else float("nan")


def found_of(answer: Detections) -> dict[str, np.ndarray]:
    """The valid boxes of the one image in an answer, with scores and labels."""
    valid = np.asarray(answer.valid[0], bool)
    return {
        "boxes": np.asarray(answer.boxes[0], np.float64)[valid],
        "scores": np.asarray(answer.scores[0], np.float64)[valid],
        "labels": np.asarray(answer.labels[0], np.int64)[valid],
    }


def truth_of(example: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The objects of an example, in pixels of its image: its "boxes", or the one "box" of `tasks.localization`.

    Crowds, and objects that are difficult, need not be found by Pascal VOC's rules.
    """
    if "boxes" in example:
        valid = np.asarray(example["valid"], bool)
        names = ("boxes", "labels", "crowd", "difficult", "area")
        rows = {name: np.asarray(example[name])[valid] for name in names if name in example}
    else:
        height, width = example["image"].shape[:2]
        x, y, across, down = np.asarray(example["box"], np.float64) * [width, height, width, height]
        corners = np.array([[x - across / 2, y - down / 2, x + across / 2, y + down / 2]])
        there = np.array([across > 0 and down > 0])
        rows = {"boxes": corners[there], "labels": np.asarray(example["label"]).reshape(1)[there]}
    spared = [np.asarray(rows[name], bool) for name in ("crowd", "difficult") if name in rows]
    return {**rows, "difficult": np.any(spared, axis=0)} if spared else rows


def drawn_of(found: Mapping[str, np.ndarray], *, objects: int) -> Any:
    """The boxes of an image that a figure shows: those of a score of 0.3 and more, and the best ones, one an object."""
    from fjdl.plots import Drawn

    rank = np.argsort(np.argsort(-found["scores"], kind="stable"), kind="stable")
    kept = (found["scores"] >= SHOWN) | (rank < objects)
    return Drawn(found["boxes"][kept], found["labels"][kept], scores=found["scores"][kept])
