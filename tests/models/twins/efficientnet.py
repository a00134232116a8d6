"""EfficientNet in PyTorch, under the names that torchvision gives its parts."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn


def unit(
    inputs: int,
    features: int,
    window: int = 1,
    stride: int = 1,
    groups: int = 1,
    *,
    epsilon: float,
    linear: bool = False,
) -> nn.Sequential:
    conv = nn.Conv2d(inputs, features, window, stride, window // 2, groups=groups, bias=False)
    norm = nn.BatchNorm2d(features, eps=epsilon)
    return nn.Sequential(conv, norm) if linear else nn.Sequential(conv, norm, nn.SiLU())


class Squeeze(nn.Module):
    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(self.fc2(nn.functional.silu(self.fc1(x.mean((2, 3), keepdim=True)))))


class Block(nn.Module):
    def __init__(self, inputs: int, features: int, window: int, stride: int, expansion: int, epsilon: float) -> None:
        super().__init__()
        wide = inputs * expansion
        self.block = nn.Sequential(
            *([unit(inputs, wide, epsilon=epsilon)] if expansion > 1 else []),
            unit(wide, wide, window, stride, wide, epsilon=epsilon),
            Squeeze(wide, inputs // 4),
            unit(wide, features, epsilon=epsilon, linear=True),
        )
        self.residual = stride == 1 and inputs == features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.block(x) if self.residual else self.block(x)


class TorchvisionEfficientNet(nn.Module):
    """`rows` of expansion, window, stride, channels and depth; the head is always part 8 of the features."""

    def __init__(
        self, stem: int, rows: Sequence[tuple[int, int, int, int, int]], head: int, *, epsilon: float = 1e-3,
        classes: int = 1000,
    ) -> None:  # fmt: skip
        super().__init__()
        parts, inputs = [unit(3, stem, 3, 2, epsilon=epsilon)], stem
        for expansion, window, stride, channels, depth in rows:
            widths = [inputs] + [channels] * (depth - 1)
            strides = [stride] + [1] * (depth - 1)
            blocks = [Block(w, channels, window, s, expansion, epsilon) for w, s in zip(widths, strides, strict=True)]
            parts.append(nn.Sequential(*blocks))
            inputs = channels
        named = [(str(i), part) for i, part in enumerate(parts)]
        self.features = nn.Sequential(OrderedDict([*named, ("8", unit(inputs, head, epsilon=epsilon))]))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(head, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x).mean((2, 3)))
