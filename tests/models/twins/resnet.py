"""Residual networks in PyTorch under the names of torchvision, of akamaster and of xternalz."""

from collections import OrderedDict

import torch
from torch import Tensor, nn


def conv(inputs: int, outputs: int, window: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, window, stride, window // 2, bias=False)


class Basic(nn.Module):
    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, pad: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, width, 3, stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3), nn.BatchNorm2d(width)
        self.extra, self.stride = width - inputs, stride
        if not pad and (stride > 1 or inputs != width):
            self.downsample = nn.Sequential(conv(inputs, width, 1, stride), nn.BatchNorm2d(width))

    def around(self, x: Tensor) -> Tensor:
        if hasattr(self, "downsample"):
            return self.downsample(x)
        x = x[:, :, :: self.stride, :: self.stride]
        zeros = torch.zeros_like(x[:, :1]).expand(-1, self.extra // 2, -1, -1)
        return torch.cat([zeros, x, zeros], 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        return (self.bn2(self.conv2(y)) + self.around(x)).relu()


class Bottleneck(nn.Module):
    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, stride_first: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, width, 1, stride if stride_first else 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3, 1 if stride_first else stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = conv(width, 4 * width, 1), nn.BatchNorm2d(4 * width)
        if stride > 1 or inputs != 4 * width:
            self.downsample = nn.Sequential(conv(inputs, 4 * width, 1, stride), nn.BatchNorm2d(4 * width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        around = self.downsample(x) if hasattr(self, "downsample") else x
        return (self.bn3(self.conv3(y)) + around).relu()


class ResNet(nn.Module):
    """`option` is `pad` of the basic block, whose stem is then small and whose head is called linear."""

    def __init__(self, block: type[Basic | Bottleneck], blocks: tuple[int, ...], width: int, *, option: bool) -> None:
        super().__init__()
        self.small = block is Basic and option
        self.conv1 = conv(3, width, 3) if self.small else conv(3, width, 7, 2)
        self.bn1 = nn.BatchNorm2d(width)
        channels, stages = width, []
        for i, count in enumerate(blocks):
            rows = []
            for j in range(count):
                rows.append(block(channels, width * 2**i, 2 if i and not j else 1, option))
                channels = width * 2**i * block.expansion
            stages.append(nn.Sequential(*rows))
            self.add_module(f"layer{i + 1}", stages[-1])
        self.stages = lambda x: nn.Sequential(*stages)(x)
        self.add_module("linear" if self.small else "fc", nn.Linear(channels, 10))

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(self.conv1(x)).relu()
        x = x if self.small else nn.functional.max_pool2d(x, 3, 2, 1)
        return (self.linear if self.small else self.fc)(self.stages(x).mean((2, 3)))


class Wide(nn.Module):
    """A block of `WideResNet`."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv(inputs, outputs, 3, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(outputs), conv(outputs, outputs, 3)
        if inputs != outputs:
            self.convShortcut = conv(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        active = self.bn1(x).relu()
        y = self.conv2(self.bn2(self.conv1(active)).relu())
        return y + (self.convShortcut(active) if hasattr(self, "convShortcut") else x)


class WideResNet(nn.Module):
    def __init__(self, blocks: int, widening: int) -> None:
        super().__init__()
        self.conv1, channels = conv(3, 16, 3), 16
        for i in range(3):
            rows = []
            for j in range(blocks):
                rows.append(Wide(channels, 16 * widening * 2**i, 2 if i and not j else 1))
                channels = 16 * widening * 2**i
            self.add_module(f"block{i + 1}", nn.Sequential(OrderedDict(layer=nn.Sequential(*rows))))
        self.bn1, self.fc = nn.BatchNorm2d(channels), nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block3(self.block2(self.block1(self.conv1(x))))
        return self.fc(self.bn1(x).relu().mean((2, 3)))


class PreBottleneck(nn.Module):
    """A block of `PreActivationResNet`; `active` is one whose input is activated already."""

    def __init__(self, inputs: int, width: int, stride: int, active: bool) -> None:
        super().__init__()
        if not active:
            self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1, self.norm2 = conv(inputs, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.norm3 = conv(width, width, 3, stride), nn.BatchNorm2d(width)
        self.conv3 = conv(width, 4 * width, 1)
        if inputs != 4 * width or stride > 1:
            self.around = conv(inputs, 4 * width, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        active = self.norm1(x).relu() if hasattr(self, "norm1") else x
        y = self.conv2(self.norm2(self.conv1(active)).relu())
        y = self.conv3(self.norm3(y).relu())
        return y + (self.around(active) if hasattr(self, "around") else x)
