"""DenseNet in PyTorch, under the names that torchvision and timm give its parts."""

from collections import OrderedDict

import torch
from torch import nn


class Layer(nn.Module):
    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(4 * growth), nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        new = self.conv2(torch.relu(self.norm2(self.conv1(torch.relu(self.norm1(x))))))
        return torch.cat([x, new], 1)


def transition(inputs: int) -> nn.Sequential:
    parts = {
        "norm": nn.BatchNorm2d(inputs),
        "relu": nn.ReLU(),
        "conv": nn.Conv2d(inputs, inputs // 2, 1, bias=False),
        "pool": nn.AvgPool2d(2),
    }
    return nn.Sequential(OrderedDict(parts))


class DenseNet(nn.Module):
    def __init__(self, *, stages: tuple[int, ...], growth: int, width: int, classes: int) -> None:
        super().__init__()
        parts: dict[str, nn.Module] = {
            "conv0": nn.Conv2d(3, width, 7, 2, 3, bias=False),
            "norm0": nn.BatchNorm2d(width),
            "relu0": nn.ReLU(),
            "pool0": nn.MaxPool2d(3, 2, 1),
        }
        for number, layers in enumerate(stages, start=1):
            if number > 1:
                parts[f"transition{number - 1}"] = transition(width)
                width //= 2
            names = [f"denselayer{index + 1}" for index in range(layers)]
            block = [(name, Layer(width + index * growth, growth)) for index, name in enumerate(names)]
            parts[f"denseblock{number}"] = nn.Sequential(OrderedDict(block))
            width += layers * growth
        self.features = nn.Sequential(OrderedDict({**parts, "norm5": nn.BatchNorm2d(width)}))
        self.classifier = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(torch.relu(self.features(x)).mean((2, 3)))
