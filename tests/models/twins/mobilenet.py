"""MobileNet v1, v2 and EfficientNet in PyTorch, under the names that timm gives their parts."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn


def conv(inputs: int, features: int, window: int = 1, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, features, window, stride, window // 2, groups=groups, bias=False)


class Squeeze(nn.Module):
    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.conv_reduce = nn.Conv2d(channels, squeezed, 1)
        self.conv_expand = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate = self.conv_expand(nn.functional.silu(self.conv_reduce(x.mean((2, 3), keepdim=True))))
        return x * torch.sigmoid(gate)


class Block(nn.Module):
    """Depthwise separable where the expansion is 1, an inverted residual otherwise."""

    def __init__(
        self, inputs: int, features: int, window: int, stride: int, expansion: int, *, act: Callable[..., Any],
        linear: bool, squeeze: bool, epsilon: float,
    ) -> None:  # fmt: skip
        super().__init__()
        wide, norm = inputs * expansion, lambda channels: nn.BatchNorm2d(channels, eps=epsilon)
        self.act, self.linear, self.inverted = act, linear, expansion > 1
        self.conv_dw = conv(wide, wide, window, stride=stride, groups=wide)
        self.se = Squeeze(wide, inputs // 4) if squeeze else nn.Identity()
        if self.inverted:
            self.conv_pw, self.bn1, self.bn2 = conv(inputs, wide), norm(wide), norm(wide)
            self.conv_pwl, self.bn3 = conv(wide, features), norm(features)
        else:
            self.bn1, self.conv_pw, self.bn2 = norm(wide), conv(wide, features), norm(features)
        self.residual = linear and stride == 1 and inputs == features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.inverted:
            y = self.act(self.bn1(self.conv_pw(x)))
            y = self.se(self.act(self.bn2(self.conv_dw(y))))
            y = self.bn3(self.conv_pwl(y))
        else:
            y = self.bn2(self.conv_pw(self.se(self.act(self.bn1(self.conv_dw(x))))))
        y = y if self.linear else self.act(y)
        return x + y if self.residual else y


class TimmNetwork(nn.Module):
    """`rows` of expansion, window, stride, channels and depth; without a `head` the last stage is pooled."""

    def __init__(
        self, stem: int, rows: Sequence[tuple[int, int, int, int, int]], head: int | None, *, act: Callable[..., Any],
        linear: bool = True, squeeze: bool = False, epsilon: float = 1e-5, classes: int = 1000,
    ) -> None:  # fmt: skip
        super().__init__()
        self.act = act
        self.conv_stem, self.bn1 = conv(3, stem, 3, stride=2), nn.BatchNorm2d(stem, eps=epsilon)
        stages, inputs = [], stem
        for expansion, window, stride, channels, depth in rows:
            blocks = []
            for i in range(depth):
                options: Any = {"act": act, "linear": linear, "squeeze": squeeze, "epsilon": epsilon}
                blocks.append(Block(inputs, channels, window, 1 if i else stride, expansion, **options))
                inputs = channels
            stages.append(nn.Sequential(*blocks))
        self.blocks = nn.Sequential(*stages)
        self.headed = head is not None
        if head is not None:
            self.conv_head, self.bn2 = conv(inputs, head), nn.BatchNorm2d(head, eps=epsilon)
        self.classifier = nn.Linear(head or inputs, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.blocks(self.act(self.bn1(self.conv_stem(x))))
        if self.headed:
            x = self.act(self.bn2(self.conv_head(x)))
        return self.classifier(x.mean((2, 3)))
