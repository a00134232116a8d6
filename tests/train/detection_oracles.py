"""What torchvision's detectors make of anchors and objects, written out in PyTorch."""

import numpy as np
import torch
import torch.nn.functional as F

BACKGROUND, BETWEEN = -1, -2


def scenes(
    rng: np.random.Generator, anchors: np.ndarray, *, classes: int, objects: int, spread: float
) -> dict[str, np.ndarray]:
    """Three images with objects near some anchors, as many as there is room for, two and none."""
    places = anchors[rng.integers(0, len(anchors), (3, objects))]
    corners = places + rng.uniform(-spread, spread, places.shape)
    valid = np.arange(objects) < np.array([objects, 2, 0])[:, None]
    return {
        "boxes": np.where(valid[..., None], corners, 0).astype(np.float32),
        "labels": np.where(valid, rng.integers(0, classes, valid.shape), 0).astype(np.int32),
        "valid": valid,
    }


def box_iou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    low, high = torch.max(a[:, None, :2], b[None, :, :2]), torch.min(a[:, None, 2:], b[None, :, 2:])
    common = (high - low).clamp(min=0).prod(-1)
    areas = [(x[:, 2:] - x[:, :2]).prod(-1) for x in (a, b)]
    return common / (areas[0][:, None] + areas[1][None] - common)


def matcher(quality: torch.Tensor, low: float, high: float, *, low_quality: bool) -> torch.Tensor:
    """`Matcher` of detection/_utils.py, and background where there is no object."""
    if quality.shape[0] == 0:
        return torch.full((quality.shape[1],), BACKGROUND)
    values, matches = quality.max(dim=0)
    every = matches.clone()
    matches[values < low] = BACKGROUND
    matches[(values >= low) & (values < high)] = BETWEEN
    if low_quality:
        places = torch.where(quality == quality.max(dim=1).values[:, None])[1]
        matches[places] = every[places]
    return matches


def encode(boxes: torch.Tensor, anchors: torch.Tensor, weights: tuple[float, ...]) -> torch.Tensor:
    """`BoxCoder.encode`."""
    (size, side), (center, origin) = (
        [x[:, 2:] - x[:, :2] for x in (boxes, anchors)],
        [(x[:, 2:] + x[:, :2]) / 2 for x in (boxes, anchors)],
    )
    return torch.cat([(center - origin) / side, torch.log(size / side)], dim=1) * torch.tensor(weights)


def decode(codes: torch.Tensor, anchors: torch.Tensor, weights: tuple[float, ...]) -> torch.Tensor:
    """`BoxCoder.decode_single` of one box for each anchor."""
    codes, side = codes / torch.tensor(weights), anchors[:, 2:] - anchors[:, :2]
    center = codes[:, :2] * side + (anchors[:, 2:] + anchors[:, :2]) / 2
    half = torch.exp(codes[:, 2:].clamp(max=np.log(1000 / 16))) * side / 2
    return torch.cat([center - half, center + half], dim=1)


def focal(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """`sigmoid_focal_loss` with alpha 0.25 and gamma 2."""
    p = torch.sigmoid(logits)
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    p_t = p * targets + (1 - p) * (1 - targets)
    return (0.25 * targets + 0.75 * (1 - targets)) * cross_entropy * (1 - p_t) ** 2


def giou_loss(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """`generalized_box_iou_loss` of boxes in order, without its epsilon."""
    low, high = torch.max(a[:, :2], b[:, :2]), torch.min(a[:, 2:], b[:, 2:])
    common = (high - low).clamp(min=0).prod(-1)
    union = (a[:, 2:] - a[:, :2]).prod(-1) + (b[:, 2:] - b[:, :2]).prod(-1) - common
    hull = (torch.max(a[:, 2:], b[:, 2:]) - torch.min(a[:, :2], b[:, :2])).prod(-1)
    return 1 - common / union + (hull - union) / hull
