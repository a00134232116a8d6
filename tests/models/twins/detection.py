"""Parts of detectors in PyTorch, under fjdl's paths."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn


class FPN(nn.Module):
    """torchvision's `FeaturePyramidNetwork` with `LastLevelP6P7(width, width)`."""

    def __init__(self, channels: Sequence[int], width: int, extra: int) -> None:
        super().__init__()
        for i, inputs in enumerate(channels):
            setattr(self, f"inner{i}", nn.Conv2d(inputs, width, 1))
            setattr(self, f"outer{i}", nn.Conv2d(width, width, 3, padding=1))
        for i in range(extra):
            setattr(self, f"extra{i}", nn.Conv2d(width, width, 3, 2, 1))
        self.levels, self.extra = len(channels), extra

    def forward(self, maps: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        inner = [getattr(self, f"inner{i}")(x) for i, x in enumerate(maps)]
        for i in range(self.levels - 2, -1, -1):
            inner[i] = inner[i] + F.interpolate(inner[i + 1], size=inner[i].shape[-2:], mode="nearest")
        levels = [getattr(self, f"outer{i}")(x) for i, x in enumerate(inner)]
        for i in range(self.extra):
            levels.append(getattr(self, f"extra{i}")(F.relu(levels[-1]) if i else levels[-1]))
        return levels


class Head(nn.Module):
    """torchvision's order of a RetinaNet head's outputs: rows, columns, anchors of a cell."""

    def __init__(self, inputs: int, width: int, convs: int, anchors: int, outputs: int) -> None:
        super().__init__()
        for i in range(convs):
            setattr(self, f"conv{i}", nn.Conv2d(width if i else inputs, width, 3, padding=1))
        self.last = nn.Conv2d(width, anchors * outputs, 3, padding=1)
        self.convs, self.outputs = convs, outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i in range(self.convs):
            x = F.relu(getattr(self, f"conv{i}")(x))
        n, _, h, w = (x := self.last(x)).shape
        return x.view(n, -1, self.outputs, h, w).permute(0, 3, 4, 1, 2).reshape(n, -1, self.outputs)
