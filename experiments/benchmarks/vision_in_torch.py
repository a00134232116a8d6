"""The U-Net and the small SSD of the benchmark in PyTorch, as its users would write them, with their losses."""

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from experiments.benchmarks.cnn_in_torch import unit


class UNet(nn.Module):
    """The twin of `fjdl.models.UNet` with batch norm."""

    def __init__(self, channels: int, classes: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        into = (channels, *widths[:-1])
        self.down = nn.ModuleList(self._block(a, b) for a, b in zip(into, widths, strict=True))
        pairs = list(pairwise(widths))[::-1]
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, stride=2) for fine, coarse in pairs)
        self.up = nn.ModuleList(self._block(2 * fine, fine) for fine, _ in pairs)
        self.pool, self.logits = nn.MaxPool2d(2), nn.Conv2d(widths[0], classes, 1)

    @staticmethod
    def _block(channels: int, width: int) -> nn.Module:
        return nn.Sequential(*unit(channels, width, 3), *unit(width, width, 3))

    def forward(self, x: Tensor) -> Tensor:
        """[n, channels, h, w] to [n, classes, h, w]."""
        passed = []
        for block in self.down[:-1]:
            passed.append(block(x if not passed else self.pool(passed[-1])))
        x = self.down[-1](self.pool(passed[-1]))
        for enlarge, block, beside in zip(self.enlarge, self.up, reversed(passed), strict=True):
            x = block(torch.cat([beside, enlarge(x)], dim=1))
        return self.logits(x)


def segmentation_loss(logits: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """The mean cross entropy of the pixels that are not void."""
    return functional.cross_entropy(logits.float(), batch["mask"].long(), ignore_index=255)


class SSD(nn.Module):
    """The twin of `fjdl.models.SSD`."""

    def __init__(self, classes: int, widths: tuple[int, ...], anchors: int, first: int = 2) -> None:
        super().__init__()
        pairs = pairwise((3, *widths))
        self.levels = nn.ModuleList(nn.Sequential(*unit(a, b, 3, stride=2), *unit(b, b, 3)) for a, b in pairs)
        self.first = first
        self.scores = nn.ModuleList(self._rare(nn.Conv2d(w, anchors * classes, 3, padding=1)) for w in widths[first:])
        self.boxes = nn.ModuleList(nn.Conv2d(w, anchors * 4, 3, padding=1) for w in widths[first:])
        self.classes = classes

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[n, 3, h, w] to logits [n, a, classes] and offsets [n, a, 4]."""
        found = []
        for level, block in enumerate(self.levels):
            x = block(x)
            if level >= self.first:
                found.append(x)
        logits = [self._rows(head(y), self.classes) for head, y in zip(self.scores, found, strict=True)]
        offsets = [self._rows(head(y), 4) for head, y in zip(self.boxes, found, strict=True)]
        return torch.cat(logits, dim=1), torch.cat(offsets, dim=1)

    @staticmethod
    def _rare(head: nn.Conv2d) -> nn.Conv2d:
        """Starts at a probability of 0.01."""
        if head.bias is not None:
            nn.init.constant_(head.bias, -math.log(99))
        return head

    @staticmethod
    def _rows(y: Tensor, numbers: int) -> Tensor:
        return y.permute(0, 2, 3, 1).reshape(len(y), -1, numbers)


class DetectionLoss:
    """RetinaNet's loss with torchvision's matching, image by image, as torchvision writes it."""

    def __init__(self, anchors: np.ndarray, code_weights: tuple[float, ...]) -> None:
        self.anchors, self.weights = torch.tensor(anchors), torch.tensor(code_weights)

    def __call__(self, outputs: tuple[Tensor, Tensor], batch: dict[str, Tensor]) -> Tensor:
        """The mean over images of focal and box loss for each positive anchor."""
        images = zip(*(x.float() for x in outputs), batch["boxes"], batch["labels"], batch["valid"], strict=True)
        return torch.stack([self._of_image(*image) for image in images]).mean()

    def _of_image(self, logits: Tensor, offsets: Tensor, boxes: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
        boxes, labels = boxes[valid], labels[valid].long()
        with torch.no_grad():
            matches = matched(iou(boxes, self.anchors))
        positive, counted = matches >= 0, matches != -2
        targets = torch.zeros_like(logits)
        targets[positive, labels[matches[positive]]] = 1
        wanted = encoded(boxes[matches[positive]], self.anchors[positive]) * self.weights
        cost = functional.smooth_l1_loss(offsets[positive], wanted, beta=1 / 9, reduction="sum")
        return (focal(logits[counted], targets[counted]).sum() + cost) / positive.sum().clamp(min=1)


def iou(boxes: Tensor, anchors: Tensor) -> Tensor:
    """[objects, anchors]."""
    low = torch.maximum(boxes[:, None, :2], anchors[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], anchors[None, :, 2:])
    common = (high - low).clamp(min=0).prod(-1)
    own, others = ((x[:, 2:] - x[:, :2]).prod(-1) for x in (boxes, anchors))
    return common / (own[:, None] + others[None] - common)


def matched(overlaps: Tensor) -> Tensor:
    """The object of each anchor, -1 for the background and -2 between; each object has its nearest anchors."""
    most, best = overlaps.max(dim=0)
    matches = torch.where(most >= 0.5, best, torch.where(most < 0.4, -1, -2))
    nearest = (overlaps == overlaps.max(dim=1, keepdim=True).values).any(dim=0)
    return torch.where(nearest, best, matches)


def encoded(boxes: Tensor, anchors: Tensor) -> Tensor:
    """Moves and scales from anchors to boxes."""
    (center, size), (origin, extent) = (((x[:, :2] + x[:, 2:]) / 2, x[:, 2:] - x[:, :2]) for x in (boxes, anchors))
    return torch.cat([(center - origin) / extent, torch.log(size / extent)], dim=1)


def focal(logits: Tensor, targets: Tensor) -> Tensor:
    """torchvision's sigmoid focal loss."""
    chance = torch.sigmoid(logits)
    entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    miss = 1 - (chance * targets + (1 - chance) * (1 - targets))
    return (0.25 * targets + 0.75 * (1 - targets)) * entropy * miss**2
