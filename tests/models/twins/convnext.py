"""ConvNeXt in PyTorch, once under the names that torchvision gives its parts and once under those of timm."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn


class ChannelNorm(nn.LayerNorm):
    """Layer normalization of the channels of [n, channels, h, w]."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Swap(nn.Module):
    """[n, channels, h, w] to [n, h, w, channels]."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(0, 2, 3, 1)


class TorchvisionBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer_scale = nn.Parameter(torch.ones(width, 1, 1))
        self.block = nn.Sequential(
            nn.Conv2d(width, width, 7, padding=3, groups=width), Swap(), nn.LayerNorm(width, eps=1e-6),
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layer_scale * self.block(x).permute(0, 3, 1, 2)


class TorchvisionConvNeXt(nn.Module):
    def __init__(self, widths: Sequence[int], depths: Sequence[int], *, classes: int = 1000) -> None:
        super().__init__()
        parts = []
        for before, width, depth in zip([None, *widths], widths, depths, strict=False):
            shrink = [nn.Conv2d(3, width, 4, 4), ChannelNorm(width)]
            if before is not None:
                shrink = [ChannelNorm(before), nn.Conv2d(before, width, 2, 2)]
            parts += [nn.Sequential(*shrink), nn.Sequential(*(TorchvisionBlock(width) for _ in range(depth)))]
        self.features = nn.Sequential(*parts)
        last = widths[-1]
        self.classifier = nn.Sequential(ChannelNorm(last), nn.Flatten(1), nn.Linear(last, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x).mean((2, 3), keepdim=True))


class TimmBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))
        self.conv_dw = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        layers = {"fc1": nn.Linear(width, 4 * width), "act": nn.GELU(), "fc2": nn.Linear(4 * width, width)}
        self.mlp = nn.Sequential(OrderedDict(layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.gamma * self.mlp(self.norm(self.conv_dw(x).permute(0, 2, 3, 1)))
        return x + y.permute(0, 3, 1, 2)


class TimmStage(nn.Module):
    def __init__(self, before: int | None, width: int, depth: int) -> None:
        super().__init__()
        self.downsample = nn.Identity()
        if before is not None:
            self.downsample = nn.Sequential(ChannelNorm(before), nn.Conv2d(before, width, 2, 2))
        self.blocks = nn.Sequential(*(TimmBlock(width) for _ in range(depth)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks(self.downsample(x))


class TimmConvNeXt(nn.Module):
    def __init__(self, widths: Sequence[int], depths: Sequence[int], *, classes: int = 1000) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, widths[0], 4, 4), ChannelNorm(widths[0]))
        befores = [None, *widths[:-1]]
        self.stages = nn.Sequential(*(TimmStage(*row) for row in zip(befores, widths, depths, strict=True)))
        last = widths[-1]
        self.head = nn.ModuleDict({"norm": nn.LayerNorm(last, eps=1e-6), "fc": nn.Linear(last, classes)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head["fc"](self.head["norm"](self.stages(self.stem(x)).mean((2, 3))))
