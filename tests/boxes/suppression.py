"""Suppression written out as PyTorch's and the papers' loops, on NumPy arrays."""

import numpy as np


def scene(rng: np.random.Generator, n: int, *, side: float = 60.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes that overlap much, some of them twice and some without area; scores with many ties; labels."""
    low, size = rng.uniform(0, side, (n, 2)), rng.uniform(5, 40, (n, 2))
    boxes = np.concatenate([low, low + size], 1).astype(np.float32)
    boxes[1::7] = boxes[::7][: len(boxes[1::7])]
    boxes[2::9, 2:] = boxes[2::9, :2]
    return boxes, rng.integers(1, 9, n).astype(np.float32) / 8, rng.integers(0, 3, n).astype(np.int32)


def iou(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    sides = np.maximum(np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2]), 0)
    area = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    shared = sides[:, 0] * sides[:, 1]
    with np.errstate(invalid="ignore"):
        return shared / ((box[2] - box[0]) * (box[3] - box[1]) + area - shared)


def nms(boxes: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    """As torchvision's kernel: what overlaps the best of the rest by more than the threshold goes."""
    order, kept = np.argsort(-scores, kind="stable"), []
    while len(order):
        best, rest = order[0], order[1:]
        kept.append(int(best))
        order = rest[~(iou(boxes[best], boxes[rest]) > threshold)]
    return kept


def by_label(boxes: np.ndarray, scores: np.ndarray, labels: np.ndarray, threshold: float) -> list[int]:
    """As torchvision's `_batched_nms_vanilla`: label by label, then by score."""
    kept = [
        int(place)
        for label in np.unique(labels)
        for place in np.flatnonzero(labels == label)[nms(boxes[labels == label], scores[labels == label], threshold)]
    ]
    return sorted(kept, key=lambda place: (-scores[place], place))


def soft(boxes: np.ndarray, scores: np.ndarray, factor, least: float) -> tuple[list[int], list[float]]:
    """Figure 2 of Bodla et al. 2017, in double precision."""
    scores, places, found = scores.astype(np.float64), list(range(len(boxes))), []
    while places := [place for place in places if scores[place] > least]:
        best = max(places, key=lambda place: (scores[place], -place))
        found.append((best, scores[best]))
        places.remove(best)
        overlap = np.nan_to_num(iou(boxes[best].astype(np.float64), boxes[places].astype(np.float64)))
        scores[places] *= factor(overlap)
    return [place for place, _ in found], [score for _, score in found]
