"""Overlaps of boxes written out for torch tensors, as no other library at hand has them with gradients."""

import math

import torch
from torch import Tensor


def sides(boxes: Tensor) -> Tensor:
    size = boxes[..., 2:] - boxes[..., :2]
    return torch.where(size > 0, size, 0)  # unlike clamp, which leaves -0


def area(boxes: Tensor) -> Tensor:
    return sides(boxes).prod(-1)


def intersection(a: Tensor, b: Tensor) -> Tensor:
    return area(torch.cat([torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])], -1))


def union(a: Tensor, b: Tensor) -> Tensor:
    return area(a) + area(b) - intersection(a, b)


def hull(a: Tensor, b: Tensor) -> Tensor:
    every = torch.stack(torch.broadcast_tensors(a[..., :2], a[..., 2:], b[..., :2], b[..., 2:]))
    return torch.cat([every.amin(0), every.amax(0)], -1)


def ratio(a: Tensor, b: Tensor) -> Tensor:
    return torch.where(b == 0, 0, a / torch.where(b == 0, 1, b))


def iou(a: Tensor, b: Tensor) -> Tensor:
    return ratio(intersection(a, b), union(a, b))


def giou(a: Tensor, b: Tensor) -> Tensor:
    around = area(hull(a, b))
    return iou(a, b) - ratio(around - union(a, b), around)


def diou(a: Tensor, b: Tensor) -> Tensor:
    centers = [(x[..., :2] + x[..., 2:]) / 2 for x in (a, b)]
    return iou(a, b) - ratio((centers[0] - centers[1]).square().sum(-1), sides(hull(a, b)).square().sum(-1))


def ciou(a: Tensor, b: Tensor) -> Tensor:
    angles = [torch.atan2(*sides(x).unbind(-1)) for x in (a, b)]
    v = 4 / math.pi**2 * (angles[0] - angles[1]).square()
    alpha = ratio(v, 1 - iou(a, b) + v).detach()
    return diou(a, b) - alpha * v
