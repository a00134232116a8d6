"""Speed against peers, measured in turns in one process: `python -m experiments.bench lenet`."""

import dataclasses
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import tyro

from experiments.benchmarks.comparison import HEAD, Comparison, interleave, rows
from experiments.command import run_guarded
from experiments.pages.markdown import replace_table, require_markers

WAIT = ("OMP_WAIT_POLICY", "PASSIVE")  # PyTorch's idle threads sleep; OpenMP reads it when PyTorch is imported


@dataclasses.dataclass(frozen=True)
class Common:
    """Options of every benchmark."""

    rounds: int = 15
    """Turns; each times every contestant once."""
    write: Path | None = None
    """A Markdown file in which the generated part of this benchmark is replaced."""
    section: str = ""
    """The name of that part, the benchmark's by default."""


@dataclasses.dataclass(frozen=True)
class Lenet(Common):
    """A training step of LeNet-5 against PyTorch."""

    batch_size: int = 128
    """Examples per step."""
    steps: int = 10
    """Training steps per turn."""

    def comparisons(self) -> Iterator[Comparison]:
        """One comparison of several contestants."""
        from experiments.benchmarks.lenet import contestants

        yield Comparison("LeNet-5", contestants(self.batch_size, self.steps), self.steps)


@dataclasses.dataclass(frozen=True)
class Metrics(Common):
    """Confusion matrix, area under the ROC curve, average precision and COCO's evaluation against their twins."""

    examples: int = 1_000_000
    """Predictions; 0 leaves everything out but the evaluation of detections."""
    classes: int = 100
    """Classes; the areas are those of each against the rest."""
    images: int = 5000
    """Images with 100 detections each; 0 leaves the evaluation of detections out."""

    def comparisons(self) -> Iterator[Comparison]:
        """Each metric against its scikit-learn twin, and the evaluation of detections against pycocotools'."""
        from experiments.benchmarks import detection, metrics

        if self.examples:
            yield from metrics.comparisons(self.examples, self.classes)
        if self.images:
            yield from detection.comparisons(self.images)


@dataclasses.dataclass(frozen=True)
class Pointwise(Common):
    """Losses and activations, forward and backward, against PyTorch."""

    elements: int = 2**24
    """Numbers that go in."""
    only: str = ""
    """Part of a name; others are left out."""

    def comparisons(self) -> Iterator[Comparison]:
        """Each function against its PyTorch twin."""
        from experiments.benchmarks.pointwise import comparisons

        return comparisons(self.elements, self.only)


@dataclasses.dataclass(frozen=True)
class Augment(Common):
    """Crop, flip and colour on batches of small images against PyTorch."""

    batch_size: int = 512
    """Images of 32 x 32 x 3."""

    def comparisons(self) -> Iterator[Comparison]:
        """The pipeline, and its parts."""
        from experiments.benchmarks.augment import comparisons

        return comparisons(self.batch_size)


@dataclasses.dataclass(frozen=True)
class Cnn(Common):
    """Training steps of convolutional networks and parts of them against PyTorch, eager and compiled."""

    batch_size: int = 64
    """Images of a step."""
    only: str = ""
    """Part of a name; others are left out."""

    def comparisons(self) -> Iterator[Comparison]:
        """Each network in float32 and bfloat16; operations are shown as a share of the rate of matrix products."""
        from experiments.benchmarks.cnn import comparisons

        return comparisons(self.batch_size, self.only)


@dataclasses.dataclass(frozen=True)
class Optim(Common):
    """An optimizer step on ResNet-50's parameters against optax and PyTorch."""

    only: str = ""
    """Part of a name; others are left out."""

    def comparisons(self) -> Iterator[Comparison]:
        """Each method on 161 leaves, on one, and on leaves of odd sizes."""
        from experiments.benchmarks.optim import comparisons

        return comparisons(self.only)


@dataclasses.dataclass(frozen=True)
class Sequence(Common):
    """Recurrent layers, a language model and attention against PyTorch, Flax and plain forms in JAX."""

    only: str = ""
    """Part of a name; others are left out."""

    def comparisons(self) -> Iterator[Comparison]:
        """Layers alone, the language model, its decoding beside the naive loop, then attention."""
        from experiments.benchmarks import decoding, sequence

        yield from sequence.comparisons(self.only)
        yield from decoding.comparisons(self.only)
        if sequence.torch_is_beside():
            from experiments.benchmarks import attention

            yield from attention.comparisons(self.only)


@dataclasses.dataclass(frozen=True)
class Boxes(Common):
    """Non-maximum suppression and RoI align against torchvision's definitions in PyTorch."""

    count: int = 10_000
    """Boxes of suppression."""
    regions: int = 200
    """Boxes of RoI align."""
    only: str = ""
    """Part of a name; others are left out."""

    def comparisons(self) -> Iterator[Comparison]:
        """Suppression alone and by class, RoI align forward and with its gradient."""
        from experiments.benchmarks.boxes import comparisons

        return comparisons(self.count, self.regions, self.only)


@dataclasses.dataclass(frozen=True)
class Vision(Common):
    """Training steps of a U-Net and of a small SSD against PyTorch."""

    batch_size: int = 8
    """Images of a step."""
    only: str = ""
    """Part of a name; others are left out."""

    def comparisons(self) -> Iterator[Comparison]:
        """Each network in float32 and bfloat16."""
        from experiments.benchmarks.vision import comparisons

        return comparisons(self.batch_size, self.only)


@dataclasses.dataclass(frozen=True)
class Quant(Common):
    """Forward passes in integers against float32, qwix (where it is installed) and PyTorch's x86 engine."""

    batch_size: int = 128
    """Images of a call."""
    only: str = ""
    """Part of a name; others are left out."""

    def comparisons(self) -> Iterator[Comparison]:
        """A plain CNN, then ResNet-20; names say the relative error of outputs."""
        from experiments.benchmarks.quant import comparisons

        return comparisons(self.batch_size, self.only)


@dataclasses.dataclass(frozen=True)
class Input(Common):
    """Making batches of images against the training step that uses them."""

    batch_size: int = 8
    """Photographs of a step of ResNet-50."""
    steps: int = 4
    """Batches and training steps per turn."""
    only: str = ""
    """Part of a name; others are left out."""

    def comparisons(self) -> Iterator[Comparison]:
        """Folders of photographs, then small images in memory."""
        from experiments.benchmarks.pipeline import comparisons

        return comparisons(self.batch_size, self.steps, self.only)


Benchmark = (
    Annotated[Lenet, tyro.conf.subcommand("lenet")]
    | Annotated[Metrics, tyro.conf.subcommand("metrics")]
    | Annotated[Pointwise, tyro.conf.subcommand("pointwise")]
    | Annotated[Augment, tyro.conf.subcommand("augment")]
    | Annotated[Cnn, tyro.conf.subcommand("cnn")]
    | Annotated[Optim, tyro.conf.subcommand("optim")]
    | Annotated[Sequence, tyro.conf.subcommand("sequence")]
    | Annotated[Boxes, tyro.conf.subcommand("boxes")]
    | Annotated[Vision, tyro.conf.subcommand("vision")]
    | Annotated[Quant, tyro.conf.subcommand("quant")]
    | Annotated[Input, tyro.conf.subcommand("input")]
)


def main() -> None:
    """Runs the benchmark and prints a table."""
    os.environ.setdefault(*WAIT)
    options = tyro.cli(Benchmark, args=sys.argv[1:])  # type: ignore[call-overload]
    if options.write is not None:
        require_markers(options.write, section=section_of(options))
    lines = list(HEAD)
    print(*lines, sep="\n", flush=True)
    for comparison in options.comparisons():
        times = interleave(comparison.runs, rounds=options.rounds)
        new = list(rows(comparison, times))
        print(*new, sep="\n", flush=True)
        lines += new
    if options.write is not None:
        replace_table(options.write, f"{provenance(options)}\n\n" + "\n".join(lines), section=section_of(options))


def name_of(options: Any) -> str:
    """The word on the command line."""
    return type(options).__name__.lower()


def section_of(options: Any) -> str:
    """The name of the part of a page that the table fills."""
    return options.section or name_of(options)


def provenance(options: Any) -> str:
    """Command, hardware and versions, in a sentence."""
    from importlib.metadata import version
    from importlib.util import find_spec

    from fjdl.train.result import hardware
    from fjdl.train.rundir import environment

    packages = ", ".join(
        f"{name} {version(name)}"
        for name in ("jax", "jaxlib", "torch", "qwix", "scikit-learn")
        if find_spec(name.replace("scikit-learn", "sklearn"))
    )
    waiting = f"{WAIT[0]}={os.environ.get(WAIT[0], 'unset')}"
    values = {f.name.replace("_", "-"): getattr(options, f.name) for f in dataclasses.fields(options)}
    given = {name: str(value) for name, value in values.items() if name != "write" and value != ""}
    flags = " ".join(f"--{name} {shlex.quote(value)}" for name, value in given.items())
    return (
        f"`python -m experiments.bench {name_of(options)} {flags}`: medians of {options.rounds} turns, "
        f"{hardware(environment())}, {packages}, {waiting}."
    )


if __name__ == "__main__":
    run_guarded(main)
