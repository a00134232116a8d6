"""MobileNet-v2 in PyTorch, under the names that torchvision gives its parts."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn


def unit(inputs: int, features: int, window: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(inputs, features, window, stride, window // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(features), nn.ReLU6())


class Block(nn.Module):
    def __init__(self, inputs: int, features: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.conv = nn.Sequential(
            *([unit(inputs, wide)] if expansion > 1 else []),
            unit(wide, wide, 3, stride, wide),
            nn.Conv2d(wide, features, 1, bias=False),
            nn.BatchNorm2d(features),
        )
        self.residual = stride == 1 and inputs == features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x) if self.residual else self.conv(x)


class TorchvisionMobileNetV2(nn.Module):
    """`rows` of expansion, channels, depth and stride; the head is always part 18 of the features."""

    def __init__(self, stem: int, rows: Sequence[tuple[int, int, int, int]], head: int, *, classes: int = 1000) -> None:
        super().__init__()
        parts, inputs = [unit(3, stem, 3, 2)], stem
        for expansion, channels, depth, stride in rows:
            for i in range(depth):
                parts.append(Block(inputs, channels, 1 if i else stride, expansion))
                inputs = channels
        named = [(str(i), part) for i, part in enumerate(parts)]
        self.features = nn.Sequential(OrderedDict([*named, ("18", unit(inputs, head))]))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(head, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x).mean((2, 3)))
