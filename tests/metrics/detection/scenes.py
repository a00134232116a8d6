"""Random scenes with ties, crowds and empty images; pycocotools' evaluation of them, and that of Pascal VOC by hand."""

import contextlib
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

CLASSES = 3


def random_scenes(seed, images=4):
    """Detections and truth of some images: boxes in whole pixels, few different scores, areas of their own."""
    rng = np.random.default_rng(seed)
    pairs = [random_image(rng) for _ in range(images)]
    return [found for found, _ in pairs], [objects for _, objects in pairs]


def random_image(rng):
    few = rng.integers(0, 6)
    low, size = rng.integers(0, 20, (few, 2)), rng.integers(1, rng.choice([12, 60, 150]), (few, 2))
    boxes, labels = np.concatenate([low, low + size], 1).astype(np.float32), rng.integers(0, CLASSES, few)
    area = np.where(rng.random(few) < 0.5, size.prod(1), rng.integers(0, 12000, few)).astype(np.float32)
    crowd, difficult = rng.random((2, few)) < 0.2
    truth = {"boxes": boxes, "labels": labels, "crowd": crowd, "difficult": difficult, "area": area}
    return random_found(rng, truth), truth


def random_found(rng, truth):
    """Detections near the objects, most of the right class."""
    number, few = rng.integers(0, 9), len(truth["labels"])
    low = rng.integers(0, 20, (number, 2))
    boxes = np.concatenate([low, low + rng.integers(1, 40, (number, 2))], 1).astype(np.float32)
    labels = rng.integers(0, CLASSES, number)
    if few:
        near = rng.integers(0, few, number)
        boxes = truth["boxes"][near] + rng.integers(-2, 3, (number, 4)).astype(np.float32)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
        labels = np.where(rng.random(number) < 0.8, truth["labels"][near], labels)
    return {"boxes": boxes, "scores": (rng.integers(0, 5, number) / 5).astype(np.float32), "labels": labels}


def padded(entries, length):
    """The entries of all images as arrays of one length, with `valid`."""
    widest = {name: np.asarray(array) for name, array in entries[0].items()}
    arrays = {name: np.zeros((len(entries), length, *x.shape[1:]), x.dtype) for name, x in widest.items()}
    arrays["valid"] = np.zeros((len(entries), length), bool)
    for image, entry in enumerate(entries):
        number = len(entry["boxes"])
        arrays["valid"][image, :number] = True
        for name, array in entry.items():
            arrays[name][image, :number] = array
    return arrays


def of_pycocotools(detections, truth, classes=CLASSES):
    """`COCOeval` after `evaluate`, `accumulate` and `summarize`."""
    evaluation = unevaluated(detections, truth, classes)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def unevaluated(detections, truth, classes):
    """`COCOeval` of the same boxes; its identities begin at 1, since it takes a match with 0 for none."""
    annotations, results = [], []
    for image, (found, there) in enumerate(zip(detections, truth, strict=True)):
        for box, label, crowd, area in zip(*(there[k] for k in ("boxes", "labels", "crowd", "area")), strict=True):
            fields = {"image_id": image, "category_id": int(label), "bbox": corner_size(box), "area": float(area)}
            annotations.append({**fields, "iscrowd": int(crowd), "id": len(annotations) + 1})
        for box, label, score in zip(*(found[k] for k in ("boxes", "labels", "scores")), strict=True):
            fields = {"image_id": image, "category_id": int(label), "bbox": corner_size(box)}
            results.append({**fields, "score": float(score)})
    files = {
        "images": [{"id": image} for image in range(len(truth))],
        "categories": [{"id": label} for label in range(classes)],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        theirs, ours = coco({**files, "annotations": annotations}), coco({**files, "annotations": []})
        return COCOeval(theirs, theirs.loadRes(results) if results else ours, "bbox")


def coco(files):
    made = COCO()
    made.dataset = files
    made.createIndex()
    return made


def corner_size(box):
    x0, y0, x1, y1 = map(float, box)
    return [x0, y0, x1 - x0, y1 - y0]


def of_the_development_kit(detections, truth, label, least=0.5):
    """`VOCevaldet` and `VOCap` as loops: recall, precision, and both average precisions."""
    rows = [
        (-score, image, place)
        for image, found in enumerate(detections)
        for place, score in enumerate(found["scores"])
        if found["labels"][place] == label
    ]
    taken = [np.zeros(len(t["labels"]), bool) for t in truth]
    wanted = sum(int(((t["labels"] == label) & ~t["difficult"]).sum()) for t in truth)
    right = wrong = 0
    recall, precision = [], []
    for _, image, place in sorted(rows):
        best, chosen = -np.inf, None
        for other, (box, name) in enumerate(zip(truth[image]["boxes"], truth[image]["labels"], strict=True)):
            overlap = iou(detections[image]["boxes"][place], box)
            if name == label and overlap > best:
                best, chosen = overlap, other
        if best < least:
            wrong += 1
        elif not truth[image]["difficult"][chosen]:
            right, wrong = (right, wrong + 1) if taken[image][chosen] else (right + 1, wrong)
            taken[image][chosen] = True
        recall.append(right / wanted if wanted else np.nan)
        precision.append(right / (right + wrong) if right + wrong else 0)
    at = [max([p for r, p in zip(recall, precision, strict=True) if r >= t / 10], default=0) for t in range(11)]
    envelope = [max(precision[i:]) for i in range(len(precision))]
    area = sum((r - before) * p for r, before, p in zip(recall, [0, *recall], envelope, strict=False))
    return recall, precision, area if wanted else np.nan, np.mean(at) if wanted else np.nan


def iou(a, b):
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = float(width) * float(height) if width > 0 and height > 0 else 0.0
    areas = [float(x[2] - x[0]) * float(x[3] - x[1]) for x in (a, b)]
    return shared / (sum(areas) - shared)
