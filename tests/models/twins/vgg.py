"""VGG in PyTorch, with the names of torchvision's and of timm's state dicts."""

from collections.abc import Iterator, Sequence

from torch import nn

STAGES = ((1, 4), (2, 6), (1, 8))  # convolutions and width: a small network


class VGG(nn.Sequential):
    """The dense head, as torchvision has it."""

    def __init__(self, inputs: int, hidden: Sequence[int], *, classes: int, batch_norm: bool) -> None:
        super().__init__()
        self.features = nn.Sequential(*_features(batch_norm))
        self.flatten = nn.Flatten()
        head: list[nn.Module] = []
        for width in hidden:
            head += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout()]
            inputs = width
        logits = nn.Linear(inputs, classes)
        self.classifier = nn.Sequential(*head, logits) if head else logits


class ConvolutionalVGG(nn.Sequential):
    """The convolutional head, as timm has it."""

    def __init__(self, hidden: Sequence[int], *, classes: int, batch_norm: bool) -> None:
        super().__init__()
        self.features = nn.Sequential(*_features(batch_norm))
        self.pre_logits = nn.Sequential()
        self.pre_logits.add_module("fc1", nn.Conv2d(STAGES[-1][1], hidden[0], 7))
        self.pre_logits.add_module("act1", nn.ReLU())
        self.pre_logits.add_module("fc2", nn.Conv2d(hidden[0], hidden[1], 1))
        self.pre_logits.add_module("act2", nn.ReLU())
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head.add_module("fc", nn.Linear(hidden[1], classes))


def _features(batch_norm: bool) -> Iterator[nn.Module]:
    channels = 3
    for convs, width in STAGES:
        for _ in range(convs):
            yield nn.Conv2d(channels, width, 3, padding=1)
            if batch_norm:
                yield nn.BatchNorm2d(width)
            yield nn.ReLU()
            channels = width
        yield nn.MaxPool2d(2)
