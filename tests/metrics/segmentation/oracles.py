"""Definitions of scores of masks and segments, written out in NumPy with SciPy's morphology and distances."""

import numpy as np
import scipy.ndimage
from scipy.spatial.distance import cdist, directed_hausdorff


def edge(mask):
    return mask & ~scipy.ndimage.binary_erosion(mask)


def hausdorff_of_scipy(a, b):
    points = np.argwhere(edge(a)), np.argwhere(edge(b))
    return max(directed_hausdorff(*points)[0], directed_hausdorff(*points[::-1])[0])


def surface_distances(a, b, spacing=(1.0, 1.0)):
    """Of each pixel of the boundary of `a` from that of `b`, as medpy's `__surface_distances`."""
    return scipy.ndimage.distance_transform_edt(~edge(b), sampling=spacing)[edge(a)]


def percentile_of_surfaces(a, b, percentile, spacing):
    return np.percentile(np.hstack([surface_distances(a, b, spacing), surface_distances(b, a, spacing)]), percentile)


def boundary_f_by_hand(y_true, y_pred, tolerance):
    """Precision and recall of the pixels of boundaries by all pairs of them (Csurka et al. 2013)."""
    distances = cdist(np.argwhere(edge(y_pred)), np.argwhere(edge(y_true)))
    precision, recall = (distances.min(1) <= tolerance).mean(), (distances.min(0) <= tolerance).mean()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def panoptic_by_hand(predictions, instances, labels, true_instances, crowd=None, *, classes):
    """Panoptic, segmentation and recognition quality of each class, by the definitions and the rules of panopticapi."""
    crowd = np.zeros(np.shape(labels), bool) if crowd is None else crowd
    overlap, matched, wrong, missed = np.zeros((4, classes))
    for image in zip(predictions, instances, labels, true_instances, crowd, strict=True):
        guess, number, truth, true_number, group = map(np.asarray, image)
        void = (truth < 0) | (truth >= classes)
        found = [(c, (guess == c) & (number == i)) for c in range(classes) for i in np.unique(number)]
        there = [
            (c, (truth == c) & (true_number == i) & (group == g), g)
            for c in range(classes)
            for i in np.unique(true_number)
            for g in (False, True)
        ]
        found, there = [x for x in found if x[1].any()], [x for x in there if x[1].any()]
        taken = set()
        for label, mask in found:
            ious = [
                ((mask & other).sum() / ((mask | other).sum() - (mask & void).sum()), place)
                for place, (name, other, grouped) in enumerate(there)
                if name == label and not grouped
            ]
            best, place = max(ious, default=(0, None))
            if best > 0.5:
                overlap[label], matched[label] = overlap[label] + best, matched[label] + 1
                taken.add(place)
            elif (mask & (void | (group & (truth == label)))).sum() / mask.sum() <= 0.5:
                wrong[label] += 1
        for place, (label, _, grouped) in enumerate(there):
            missed[label] += place not in taken and not grouped
    with np.errstate(invalid="ignore"):
        number = matched + (wrong + missed) / 2
        segmentation = np.where(number == 0, np.nan, overlap / np.maximum(matched, 1))
        return overlap / number, segmentation, matched / number
