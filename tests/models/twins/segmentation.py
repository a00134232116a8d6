"""Networks of segmentation in PyTorch, whose parts have fjdl's paths as names."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from tests.models.twins import resnet as twins


class ConvBlock(nn.Module):
    def __init__(
        self, inputs: int, width: int, *, convs: int = 2, window: int = 3, norm: bool = True, same: bool = True
    ):
        super().__init__()
        self.convs = convs
        for i in range(1, convs + 1):
            channels = width if i > 1 else inputs
            setattr(self, f"conv{i}", nn.Conv2d(channels, width, 3, padding=int(same), bias=not norm))
            setattr(self, f"norm{i}", nn.BatchNorm2d(width) if norm else nn.Identity())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i in range(1, self.convs + 1):
            x = F.relu(getattr(self, f"norm{i}")(getattr(self, f"conv{i}")(x)))
        return x


class UNet(nn.Module):
    """Cropped and joined as in the paper."""

    def __init__(self, channels: int, widths: Sequence[int], classes: int, *, norm: bool, same: bool) -> None:
        super().__init__()
        self.depth = len(widths) - 1
        inputs = [channels, *widths]
        for level in range(1, self.depth + 1):
            setattr(self, f"down{level}", ConvBlock(inputs[level - 1], widths[level - 1], norm=norm, same=same))
            setattr(self, f"enlarge{level}", nn.ConvTranspose2d(widths[level], widths[level - 1], 2, stride=2))
            setattr(self, f"up{level}", ConvBlock(2 * widths[level - 1], widths[level - 1], norm=norm, same=same))
        self.bottom = ConvBlock(widths[-2], widths[-1], norm=norm, same=same)
        self.logits = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        passed = []
        for level in range(1, self.depth + 1):
            x = getattr(self, f"down{level}")(x)
            passed.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottom(x)
        for level in range(self.depth, 0, -1):
            x = getattr(self, f"enlarge{level}")(x)
            beside = passed[level - 1]
            top, left = ((a - b) // 2 for a, b in zip(beside.shape[2:], x.shape[2:], strict=True))
            beside = beside[:, :, top : top + x.shape[2], left : left + x.shape[3]]
            x = getattr(self, f"up{level}")(torch.cat([beside, x], 1))
        return self.logits(x)


class SquaresUNet(UNet):
    """Squares of 2 x 2 pixels become channels before it, and channels pixels behind it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.pixel_shuffle(super().forward(F.pixel_unshuffle(x, 2)), 2)


class SegNet(nn.Module):
    def __init__(self, channels: int, widths: Sequence[int], convs: Sequence[int], classes: int) -> None:
        super().__init__()
        self.depth = len(widths)
        inputs = [channels, *widths]
        for level, (width, count) in enumerate(zip(widths, convs, strict=True), start=1):
            setattr(self, f"down{level}", ConvBlock(inputs[level - 1], width, convs=count))
            setattr(self, f"up{level}", ConvBlock(width, width, convs=count - 1))
            if level > 1:
                setattr(self, f"narrow{level}", ConvBlock(width, widths[level - 2], convs=1))
        self.logits = nn.Conv2d(widths[0], classes, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        places = []
        for level in range(1, self.depth + 1):
            x = getattr(self, f"down{level}")(x)
            size = x.shape[2:]
            x, indices = F.max_pool2d(x, 2, return_indices=True)
            places.append((indices, size))
        for level in range(self.depth, 0, -1):
            indices, size = places[level - 1]
            x = getattr(self, f"up{level}")(F.max_unpool2d(x, indices, 2, output_size=size))
            if level > 1:
                x = getattr(self, f"narrow{level}")(x)
        return self.logits(x)


class Pools(nn.Module):
    """The backbone of `FCN`: three convolutions, each before a pool."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        for i, (a, b) in enumerate(zip([3, *widths], widths, strict=False), start=1):
            stage = nn.Module()
            stage.conv0 = nn.Conv2d(a, b, 3, padding=1)
            setattr(self, f"stage{i}", stage)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        found = []
        for stage in self.children():
            x = F.max_pool2d(F.relu(stage.conv0(x)), 2)
            found.append(x)
        return found


class FCN(nn.Module):
    """Scores of three pools, from coarse to fine."""

    def __init__(self, widths: Sequence[int], hidden: int, classes: int, *, window: int) -> None:
        super().__init__()
        self.backbone = Pools(widths)
        self.fc6 = nn.Conv2d(widths[-1], hidden, window, padding=window // 2)
        self.fc7 = nn.Conv2d(hidden, hidden, 1)
        for i, (inputs, factor) in enumerate(zip([hidden, widths[-2], widths[-3]], [2, 2, 2], strict=True)):
            setattr(self, f"score{i}", nn.Conv2d(inputs, classes, 1))
            up = nn.Module()
            up.conv = nn.ConvTranspose2d(classes, classes, 2 * factor, stride=factor, padding=factor // 2, bias=False)
            setattr(self, f"enlarge{i}", up)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        fine, middle, coarse = self.backbone(x)
        total = self.score0(F.relu(self.fc7(F.relu(self.fc6(coarse)))))
        total = self.enlarge0.conv(total, output_size=middle.shape[2:]) + self.score1(middle)
        total = self.enlarge1.conv(total, output_size=fine.shape[2:]) + self.score2(fine)
        return self.enlarge2.conv(total, output_size=x.shape[2:])


class ASPP(nn.Module):
    """torchvision's, over features."""

    def __init__(self, inputs: int, width: int, rates: Sequence[int]) -> None:
        super().__init__()

        def joined(inputs: int, window: int, rate: int = 1) -> list[nn.Module]:
            pad = rate * (window // 2)
            conv = nn.Conv2d(inputs, width, window, padding=pad, dilation=rate, bias=False)
            return [conv, nn.BatchNorm2d(width), nn.ReLU()]

        parts = [nn.Sequential(*joined(inputs, 1)), *[nn.Sequential(*joined(inputs, 3, rate)) for rate in rates]]
        parts.append(nn.Sequential(nn.AdaptiveAvgPool2d(1), *joined(inputs, 1)))
        self.convs = nn.ModuleList(parts)
        self.project = nn.Sequential(*joined(len(parts) * width, 1), nn.Dropout(0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = [part(x) for part in self.convs]
        found[-1] = F.interpolate(found[-1], size=x.shape[2:], mode="bilinear", align_corners=False)
        return self.project(torch.cat(found, 1))


class OnFeatures(nn.Module):
    """torchvision's form: the backbone's last features, a head called `classifier`, interpolation to the image."""

    def __init__(self, backbone: nn.Module, classifier: nn.Sequential) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(self.classifier(self.backbone(x)), size=x.shape[2:], mode="bilinear", align_corners=False)


def deeplab_head(inputs: int, width: int, classes: int, rates: Sequence[int]) -> nn.Sequential:
    conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
    return nn.Sequential(
        ASPP(inputs, width, rates), conv, nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, classes, 1)
    )


def fcn_head(inputs: int, width: int, classes: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, width, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.1), nn.Conv2d(width, classes, 1))


class DilatedResNet(twins.ResNet):
    """torchvision's features with the last stages dilated: no pool and no logits behind them."""

    def __init__(self, blocks: tuple[int, ...], width: int, dilations: dict[str, tuple[int, int]]) -> None:
        super().__init__(twins.Bottleneck, blocks, width, option=False)
        del self.fc
        for name, (first, others) in dilations.items():
            for i, block in enumerate(getattr(self, name)):
                rate = others if i else first
                block.conv2.stride, block.conv2.dilation, block.conv2.padding = (1, 1), (rate, rate), (rate, rate)
                if hasattr(block, "downsample"):
                    block.downsample[0].stride = (1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        return self.stages(x)
