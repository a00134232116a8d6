"""GoogLeNet and Inception-v3 in PyTorch, under the names that torchvision gives their parts."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

Window = int | tuple[int, int]


class Unit(nn.Module):
    """Convolution, batch norm or bias, ReLU; "same" padding where no other is given."""

    def __init__(
        self,
        inputs: int,
        features: int,
        window: Window = 1,
        *,
        stride: int = 1,
        padding: int | str = "same",
        norm: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, features, window, stride, padding, bias=not norm)
        self.bn = nn.BatchNorm2d(features, eps=1e-3) if norm else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.bn(self.conv(x)))


class Module(nn.Module):
    """GoogLeNet's, with the six widths of the paper's table."""

    def __init__(self, inputs: int, widths: tuple[int, ...], *, window: int, norm: bool) -> None:
        super().__init__()
        one, reduce3, three, reduce5, five, projected = widths
        self.branch1 = Unit(inputs, one, norm=norm)
        self.branch2 = nn.Sequential(Unit(inputs, reduce3, norm=norm), Unit(reduce3, three, 3, norm=norm))
        self.branch3 = nn.Sequential(Unit(inputs, reduce5, norm=norm), Unit(reduce5, five, window, norm=norm))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, 1, 1), Unit(inputs, projected, norm=norm))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in (self.branch1, self.branch2, self.branch3, self.branch4)], 1)


class Head(nn.Module):
    def __init__(self, inputs: int, classes: int, *, norm: bool) -> None:
        super().__init__()
        self.conv = Unit(inputs, 128, norm=norm)
        self.fc1, self.fc2 = nn.Linear(2048, 1024), nn.Linear(1024, classes)
        self.norm = norm

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.adaptive_avg_pool2d(x, 4) if self.norm else F.avg_pool2d(x, 5, 3)
        return self.fc2(torch.relu(self.fc1(self.conv(x).flatten(1))))


ROWS = {
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


class GoogLeNet(nn.Module):
    """The paper's, or with `norm` torchvision's; the three logits side by side."""

    def __init__(self, *, classes: int, norm: bool) -> None:
        super().__init__()
        self.norm = norm
        self.conv1 = Unit(3, 64, 7, stride=2, padding=3, norm=norm)
        self.conv2, self.conv3 = Unit(64, 64, norm=norm), Unit(64, 192, 3, norm=norm)
        for name, (inputs, *widths) in ROWS.items():
            self.add_module(f"inception{name}", Module(inputs, tuple(widths), window=3 if norm else 5, norm=norm))
        self.aux1, self.aux2 = Head(512, classes, norm=norm), Head(528, classes, norm=norm)
        self.fc = nn.Linear(1024, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        lrn = nn.Identity() if self.norm else nn.LocalResponseNorm(5, alpha=5e-4, k=2.0)  # PyTorch divides alpha by 5
        x = lrn(F.max_pool2d(self.conv1(x), 3, 2, ceil_mode=True))
        x = lrn(self.conv3(self.conv2(x)))
        heads = []
        for name in ROWS:
            if name.endswith("a"):
                x = F.max_pool2d(x, 2 if self.norm and name == "5a" else 3, 2, ceil_mode=True)
            x = self.get_submodule(f"inception{name}")(x)
            if name in ("4a", "4d"):
                heads.append((self.aux1 if name == "4a" else self.aux2)(x))
        return torch.cat([self.fc(x.mean((2, 3))), *heads], 1)


class Branches(nn.Module):
    """Chains of named convolutions beside each other, and an average pool with a projection or a max pool."""

    def __init__(self, chains: list[list[tuple[Any, ...]]], projection: int | None) -> None:
        super().__init__()
        self.chains = [[name for name, *_ in chain] for chain in chains]
        for chain in chains:
            for name, inputs, features, window, *stride in chain:
                options = {"stride": 2, "padding": 0} if stride else {}
                self.add_module(name, Unit(inputs, features, window, **options))
        if projection is not None:
            self.branch_pool = Unit(chains[0][0][1], projection)

    def pooled(self, x: torch.Tensor) -> torch.Tensor:
        if not hasattr(self, "branch_pool"):
            return F.max_pool2d(x, 3, 2)
        return self.branch_pool(F.avg_pool2d(x, 3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs = []
        for chain in self.chains:
            y = x
            for name in chain:
                y = self.get_submodule(name)(y)
            outputs.append(y)
        return torch.cat([*outputs, self.pooled(x)], 1)


def inception_a(n: int, projection: int) -> Branches:
    double = [("branch3x3dbl_1", n, 64, 1), ("branch3x3dbl_2", 64, 96, 3), ("branch3x3dbl_3", 96, 96, 3)]
    five = [("branch5x5_1", n, 48, 1), ("branch5x5_2", 48, 64, 5)]
    return Branches([[("branch1x1", n, 64, 1)], five, double], projection)


def inception_b(n: int) -> Branches:
    double = [("branch3x3dbl_1", n, 64, 1), ("branch3x3dbl_2", 64, 96, 3), ("branch3x3dbl_3", 96, 96, 3, 2)]
    return Branches([[("branch3x3", n, 384, 3, 2)], double], None)


def inception_c(n: int, k: int) -> Branches:
    single = [("branch7x7_1", n, k, 1), ("branch7x7_2", k, k, (1, 7)), ("branch7x7_3", k, 192, (7, 1))]
    double = [
        ("branch7x7dbl_1", n, k, 1),
        ("branch7x7dbl_2", k, k, (7, 1)),
        ("branch7x7dbl_3", k, k, (1, 7)),
        ("branch7x7dbl_4", k, k, (7, 1)),
        ("branch7x7dbl_5", k, 192, (1, 7)),
    ]
    return Branches([[("branch1x1", n, 192, 1)], single, double], 192)


def inception_d(n: int) -> Branches:
    seven = [
        ("branch7x7x3_1", n, 192, 1),
        ("branch7x7x3_2", 192, 192, (1, 7)),
        ("branch7x7x3_3", 192, 192, (7, 1)),
        ("branch7x7x3_4", 192, 192, 3, 2),
    ]
    return Branches([[("branch3x3_1", n, 192, 1), ("branch3x3_2", 192, 320, 3, 2)], seven], None)


class InceptionE(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.branch1x1 = Unit(n, 320)
        self.branch3x3_1, self.branch3x3dbl_1, self.branch3x3dbl_2 = Unit(n, 384), Unit(n, 448), Unit(448, 384, 3)
        self.branch3x3_2a, self.branch3x3_2b = Unit(384, 384, (1, 3)), Unit(384, 384, (3, 1))
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = Unit(384, 384, (1, 3)), Unit(384, 384, (3, 1))
        self.branch_pool = Unit(n, 192)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        single, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        wide = [self.branch3x3_2a(single), self.branch3x3_2b(single)]
        wider = [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)]
        return torch.cat([self.branch1x1(x), *wide, *wider, self.branch_pool(F.avg_pool2d(x, 3, 1, 1))], 1)


class AuxiliaryHead(nn.Module):
    def __init__(self, n: int, classes: int) -> None:
        super().__init__()
        self.conv0, self.conv1 = Unit(n, 128), Unit(128, 768, 5, padding=0)
        self.fc = nn.Linear(768, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.conv1(self.conv0(F.avg_pool2d(x, 5, 3))).mean((2, 3)))


class InceptionV3(nn.Module):
    """Both logits side by side."""

    def __init__(self, *, classes: int) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Unit(3, 32, 3, stride=2, padding=0)
        self.Conv2d_2a_3x3, self.Conv2d_2b_3x3 = Unit(32, 32, 3, padding=0), Unit(32, 64, 3)
        self.Conv2d_3b_1x1, self.Conv2d_4a_3x3 = Unit(64, 80), Unit(80, 192, 3, padding=0)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = (inception_a(*row) for row in ((192, 32), (256, 64), (288, 64)))
        self.Mixed_6a = inception_b(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = (
            inception_c(768, inner) for inner in (128, 160, 160, 192)
        )
        self.Mixed_7a, self.Mixed_7b, self.Mixed_7c = inception_d(768), InceptionE(1280), InceptionE(2048)
        self.AuxLogits, self.fc = AuxiliaryHead(768, classes), nn.Linear(2048, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))), 3, 2)
        x = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, 2)
        x = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        head = self.AuxLogits(x)
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return torch.cat([self.fc(x.mean((2, 3))), head], 1)
