"""Which detection of a whole data set finds which object, by the rules of COCO and of Pascal VOC, on the host.

Detections are sorted so that those of one class and image stand together, the highest score first. Only pairs of a
detection and an object that overlap enough are kept. COCO's rule is greedy: the detections of a class and image take
their turns, and each turn is one step for all images and classes, all thresholds and ranges of area.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from fjdl.metrics.detection.scenes import Found, Objects, box_areas
from fjdl.typing import typed

IGNORED, HIT, FALSE = 0, 1, 2  # outcomes of a detection
_PAIRS = 2**21  # pairs whose overlap is computed at once


class Sorted(NamedTuple):
    """Detections by class, image and falling score, equal scores in the order given; their rank in class and image."""

    found: Found
    rank: np.ndarray


class Pairs(NamedTuple):
    """Numbers of detections and objects that overlap, and by how much; the detections do not fall."""

    detection: np.ndarray
    object: np.ndarray
    iou: np.ndarray


@typed
def sort_detections(found: Found, *, images: int, most: int | None = None) -> Sorted:
    """All detections as `Sorted`, of each class and image the `most` highest scores at most."""
    group = found.label * images + found.image
    order = np.lexsort((-found.score, group))
    group = group[order]
    starts = np.searchsorted(group, group, side="left")
    rank = np.arange(len(order)) - starts
    kept = rank < (len(order) if most is None else most)
    return Sorted(Found(*(column[order[kept]] for column in found)), rank[kept])


@typed
def overlapping(found: Found, objects: Objects, *, images: int, least: float, crowds: bool) -> tuple[Pairs, Objects]:
    """Pairs of one class and image with an IoU of at least `least`, and the objects as sorted for them.

    With `crowds` the overlap with an ignored object is the share of the detection's area that is in it.
    """
    group = objects.label * images + objects.image
    order = np.argsort(group, kind="stable")
    objects, group = Objects(*(column[order] for column in objects)), group[order]
    mine = found.label * images + found.image
    first, last = (np.searchsorted(group, mine, side=side) for side in ("left", "right"))
    stops = np.cumsum(last - first)
    parts = [Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))]
    start = 0
    while start < len(mine):
        done = stops[start - 1] if start else 0
        stop = max(int(np.searchsorted(stops, done + _PAIRS, side="right")), start + 1)
        pairs = _all_pairs(np.arange(start, stop), first[start:stop], last[start:stop])
        iou = _overlaps(found, objects, *pairs, crowds=crowds)
        kept = iou >= least
        parts.append(Pairs(pairs[0][kept], pairs[1][kept], iou[kept]))
        start = stop
    return Pairs(*map(np.concatenate, zip(*parts, strict=True))), objects


@typed
def looked_for(objects: Objects, areas: np.ndarray) -> np.ndarray:
    """Whether an object counts in each range of area, `[o, a]`: no crowd, and of an area in it, ends included."""
    return ~objects.ignored[:, None] & _within(objects.area, areas)


@typed
def greedy_outcomes(
    ordered: Sorted, objects: Objects, *, images: int, thresholds: np.ndarray, areas: np.ndarray
) -> np.ndarray:
    """COCO's outcome of each detection at each threshold and in each range of area, uint8 `[d, t, a]`.

    It is `HIT` where the detection finds an object that is looked for, `FALSE` where it finds none, and `IGNORED`
    where it finds one that is not, or none while its own area is outside of the range.
    """
    limits = np.minimum(thresholds, 1 - 1e-10)
    pairs, objects = overlapping(ordered.found, objects, images=images, least=float(limits.min()), crowds=True)
    inside = _within(box_areas(ordered.found.box), areas)
    outcomes = np.repeat(np.where(inside, FALSE, IGNORED).astype(np.uint8)[:, None], len(limits), axis=1)
    _take_turns(outcomes, pairs, ordered, objects.ignored, ~looked_for(objects, areas), limits)
    return outcomes


def _take_turns(
    outcomes: np.ndarray, pairs: Pairs, ordered: Sorted, crowd: np.ndarray, ignored: np.ndarray, limits: np.ndarray
) -> None:
    """Writes the outcomes of the detections that have pairs."""
    turn = ordered.rank[pairs.detection]
    order = np.lexsort((pairs.object, pairs.iou, pairs.detection, turn))
    pairs = Pairs(*(column[order] for column in pairs))
    bounds = np.searchsorted(turn[order], np.arange(turn.max(initial=-1) + 2))
    taken = np.zeros((len(ignored), *outcomes.shape[1:]), bool)
    for start, stop in pairwise(bounds):
        if start < stop:
            _one_turn(outcomes, Pairs(*(column[start:stop] for column in pairs)), taken, crowd, ignored, limits)


def _one_turn(
    outcomes: np.ndarray, pairs: Pairs, taken: np.ndarray, crowd: np.ndarray, ignored: np.ndarray, limits: np.ndarray
) -> None:
    """One detection of each class and image takes the best object that is free; one to be looked for comes first."""
    starts = np.flatnonzero(np.diff(pairs.detection, prepend=-1))
    lengths = np.diff(starts, append=len(pairs.detection))
    place = (np.arange(len(pairs.detection)) - np.repeat(starts, lengths)).astype(np.int32)
    most = np.int32(lengths.max())
    key = np.where(ignored[pairs.object], place[:, None], place[:, None] + most)[:, None]  # a later pair overlaps more
    free = (pairs.iou[:, None] >= limits)[:, :, None] & ~taken[pairs.object]
    best = np.maximum.reduceat(np.where(free, key, np.int32(-1)), starts, axis=0)
    winner = pairs.object[starts[:, None, None] + np.maximum(best, 0) % most]
    who, t, a = np.nonzero(best >= 0)
    chosen = winner[who, t, a]
    alone = ~crowd[chosen]
    taken[chosen[alone], t[alone], a[alone]] = True
    outcomes[pairs.detection[starts][who], t, a] = np.where(ignored[chosen, a], IGNORED, HIT)


def _within(area: np.ndarray, ranges: np.ndarray) -> np.ndarray:
    """Whether each area lies in each of the ranges `[a, 2]`, ends included; a NaN lies in all, as in COCO's code."""
    return ~((area[:, None] < ranges[None, :, 0]) | (area[:, None] > ranges[None, :, 1]))


def _all_pairs(rows: np.ndarray, first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each row with each number from its first to its last, that one excluded."""
    lengths = last - first
    ends = np.cumsum(lengths)
    return np.repeat(rows, lengths), np.arange(ends[-1]) + np.repeat(first - (ends - lengths), lengths)


def _overlaps(found: Found, objects: Objects, detection: np.ndarray, other: np.ndarray, *, crowds: bool) -> np.ndarray:
    a, b = found.box[detection], objects.box[other]
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    shared = np.where((sides > 0).all(axis=1), sides[:, 0] * sides[:, 1], 0)
    mine = box_areas(a)
    whole = mine + box_areas(b) - shared
    whole = np.where(objects.ignored[other], mine, whole) if crowds else whole
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
