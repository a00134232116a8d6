"""What every network of the library costs: `python -m experiments.pages.architectures --write docs/architectures.md`.

Without arguments the comparison of all of them is printed, with the name of one its table of layers.
"""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tyro

from experiments.command import run_guarded
from experiments.pages.markdown import replace_table, require_markers
from fjdl.errors import UsageError

SECTION = "architectures"


@dataclasses.dataclass(frozen=True)
class Options:
    """Print parameters, operations and memory of networks."""

    only: str = ""
    """A network whose layers are listed; all are compared by default."""
    size: int | None = None
    """Rows and columns of the images, those of the network's paper by default."""
    batch_size: int = 1
    """Images at a time, for the memory of the comparison."""
    write: Path | None = None
    """A Markdown file in which the table between the two marker lines of its section is replaced."""


def main() -> None:
    """Prints the tables, and writes them where asked."""
    options = tyro.cli(Options, args=sys.argv[1:])
    if options.write is not None:
        require_markers(options.write, section=SECTION)
    known = networks()
    if options.only and options.only not in known:
        raise UsageError(f"only must be one of {', '.join(known)}, got {options.only}")
    text = one(options, known) if options.only else every(options, known)
    print(text)
    if options.write is not None:
        replace_table(options.write, f"```\n{text}\n```", section=SECTION)


def networks() -> dict[str, tuple[Callable[[], Any], tuple[int, int, int]]]:
    """Each network and the shape of its images."""
    from fjdl import models as m

    photo = (224, 224, 3)
    small = (32, 32, 3)
    return {
        "LeNet-5": (m.LeNet5, (28, 28, 1)),
        "LeNet-5 of 1998": (m.LeNet5_1998, (32, 32, 1)),
        "AlexNet": (m.AlexNet, (227, 227, 3)),
        "AlexNet, two groups": (m.alexnet_paper, (227, 227, 3)),
        "ZFNet, competition": (m.ZFNet, photo),
        "ZFNet, paper": (m.zfnet_paper, photo),
        "VGG-11": (m.vgg11, photo),
        "VGG-13": (m.vgg13, photo),
        "VGG-16": (m.vgg16, photo),
        "VGG-19": (m.vgg19, photo),
        "GoogLeNet": (m.GoogLeNet, photo),
        "Inception-v3": (m.InceptionV3, (299, 299, 3)),
        "ResNet-18": (m.resnet18, photo),
        "ResNet-34": (m.resnet34, photo),
        "ResNet-50": (m.resnet50, photo),
        "ResNet-50, v1": (m.resnet50_v1, photo),
        "ResNet-101": (m.resnet101, photo),
        "ResNet-152": (m.resnet152, photo),
        "ResNet-152, v1": (m.resnet152_v1, photo),
        "CIFAR ResNet-20": (m.cifar_resnet20, small),
        "CIFAR ResNet-56": (m.cifar_resnet56, small),
        "CIFAR ResNet-110": (m.cifar_resnet110, small),
        "WideResNet-28-10": (m.wide_resnet28_10, small),
        "DenseNet-121": (m.densenet121, photo),
        "MobileNet": (m.MobileNet, photo),
        "MobileNet-v2": (m.MobileNetV2, photo),
        "EfficientNet-B0": (m.efficientnet_b0, photo),
        "ConvNeXt-T": (m.convnext_tiny, photo),
        "WhitenedNet": (m.WhitenedNet, (31, 31, 24)),
    }


def one(options: Options, known: dict[str, Any]) -> str:
    """The table of layers of a network."""
    from fjdl.analysis import format_table

    build, shape = known[options.only]
    return format_table(_layers(build, shape, options.size))


def every(options: Options, known: dict[str, Any]) -> str:
    """The comparison of all networks."""
    from fjdl.analysis import format_comparison

    rows = {name: _layers(build, shape, options.size) for name, (build, shape) in known.items()}
    return format_comparison(rows, batch_size=options.batch_size)


def _layers(build: Callable[[], Any], shape: tuple[int, int, int], size: int | None) -> Any:
    import jax
    import jax.numpy as jnp

    from fjdl.nn import pure

    rows, columns = shape[:2] if size is None else (size, size)
    return pure(build()).layers(jax.ShapeDtypeStruct((1, rows, columns, shape[2]), jnp.float32))


if __name__ == "__main__":
    run_guarded(main)
