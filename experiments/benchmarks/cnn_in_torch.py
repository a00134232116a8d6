"""The networks of the benchmark in PyTorch, as its users would write them."""

from torch import Tensor, nn


def lenet() -> nn.Module:
    """LeNet-5 for 28 x 28 grey images."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def alexnet() -> nn.Module:
    """AlexNet with a stem for 32 x 32 images and hidden layers of 1024."""
    norm = {"size": 5, "alpha": 5e-4, "beta": 0.75, "k": 2.0}
    return nn.Sequential(
        nn.Conv2d(3, 96, 5, padding=2), nn.ReLU(), nn.LocalResponseNorm(**norm), nn.MaxPool2d(3, 2),
        nn.Conv2d(96, 256, 5, padding=2), nn.ReLU(), nn.LocalResponseNorm(**norm), nn.MaxPool2d(3, 2),
        nn.Conv2d(256, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten(),
        nn.Linear(2304, 1024), nn.ReLU(), nn.Dropout(), nn.Linear(1024, 1024), nn.ReLU(), nn.Dropout(),
        nn.Linear(1024, 10),
    )  # fmt: skip


def resnet18() -> nn.Module:
    """ResNet-18 with a 3 x 3 stem for 32 x 32 images."""
    blocks: list[nn.Module] = []
    channels = 64
    for width, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        blocks += [Residual(channels, width, stride), Residual(width, width, 1)]
        channels = width
    return nn.Sequential(*unit(3, 64, 3), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def mobilenet() -> nn.Module:
    """MobileNet with a stem of stride 1 for 32 x 32 images."""
    layers = [*unit(3, 32, 3)]
    channels = 32
    for width, blocks, stride in ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2)):
        for i in range(blocks):
            layers += [*unit(channels, channels, 3, stride=1 if i else stride, groups=channels)]
            layers += [*unit(channels, width, 1)]
            channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def unit(channels: int, width: int, window: int, *, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """Convolution, batch norm, ReLU."""
    conv = nn.Conv2d(channels, width, window, stride, padding=window // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]


def resnet50() -> nn.Module:
    """ResNet-50 for 224 x 224 images, the stride on its 3 x 3 convolutions."""
    layers = [*unit(3, 64, 7, stride=2), nn.MaxPool2d(3, 2, padding=1)]
    channels = 64
    for width, blocks, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(blocks):
            layers.append(Bottleneck(channels, width, 1 if i else stride))
            channels = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000))


class Shortcut(nn.Module):
    """A branch beside a shortcut, which projects where the shape changes."""

    def __init__(self, channels: int, width: int, stride: int, branch: list[nn.Module]) -> None:
        super().__init__()
        self.branch = nn.Sequential(*branch[:-1])
        *projection, self.activation = unit(channels, width, 1, stride=stride)
        self.shortcut = nn.Identity() if channels == width and stride == 1 else nn.Sequential(*projection)

    def forward(self, x: Tensor) -> Tensor:
        """The activated sum."""
        return self.activation(self.branch(x) + self.shortcut(x))


class Residual(Shortcut):
    """Two 3 x 3 convolutions."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__(channels, width, stride, [*unit(channels, width, 3, stride=stride), *unit(width, width, 3)])


class Bottleneck(Shortcut):
    """1 x 1, 3 x 3 and 1 x 1 convolutions."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        units = [*unit(channels, width, 1), *unit(width, width, 3, stride=stride), *unit(width, 4 * width, 1)]
        super().__init__(channels, 4 * width, stride, units)
