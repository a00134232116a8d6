"""Speed against peers, measured in turns in one process: `python -m experiments.bench lenet`."""

import dataclasses
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import tyro

from experiments.command import run_guarded
from experiments.markdown import replace_table, require_markers

WAIT = ("OMP_WAIT_POLICY", "PASSIVE")  # PyTorch's idle threads sleep; OpenMP reads it when PyTorch is imported


class Comparison(NamedTuple):
    """Functions that do the same work, the peer last; each call is divided by `calls`."""

    name: str
    runs: dict[str, Callable[[], Any]]
    calls: int = 1
    operations: float = 0.0  # floating-point operations of a call, 0 where they are not counted
    peak: float = 0.0  # operations per second of the device at their best, measured in the same run


@dataclasses.dataclass(frozen=True)
class Common:
    """Options of every benchmark."""

    rounds: int = 15
    """Turns; each times every contestant once."""
    write: Path | None = None
    """A Markdown file in which the generated part of this benchmark is replaced."""


@dataclasses.dataclass(frozen=True)
class Lenet(Common):
    """A training step of LeNet-5 against PyTorch."""

    batch_size: int = 128
    """Examples per step."""
    steps: int = 10
    """Training steps per turn."""

    def comparisons(self) -> Iterator[Comparison]:
        """One comparison of several contestants."""
        from experiments.bench_lenet import contestants

        yield Comparison("LeNet-5", contestants(self.batch_size, self.steps), self.steps)


@dataclasses.dataclass(frozen=True)
class Metrics(Common):
    """Confusion matrix, area under the ROC curve and average precision against scikit-learn."""

    examples: int = 1_000_000
    """Predictions."""
    classes: int = 100
    """Classes; the areas are those of each against the rest."""

    def comparisons(self) -> Iterator[Comparison]:
        """Each metric against its scikit-learn twin."""
        from experiments.bench_metrics import comparisons

        return comparisons(self.examples, self.classes)


@dataclasses.dataclass(frozen=True)
class Pointwise(Common):
    """Losses and activations, forward and backward, against PyTorch."""

    elements: int = 2**24
    """Numbers that go in."""
    only: str = ""
    """Part of a name; others are left out."""

    def comparisons(self) -> Iterator[Comparison]:
        """Each function against its PyTorch twin."""
        from experiments.bench_pointwise import comparisons

        return comparisons(self.elements, self.only)


@dataclasses.dataclass(frozen=True)
class Augment(Common):
    """Crop, flip and colour on batches of small images against PyTorch."""

    batch_size: int = 512
    """Images of 32 x 32 x 3."""

    def comparisons(self) -> Iterator[Comparison]:
        """The pipeline, and its parts."""
        from experiments.bench_augment import comparisons

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
        from experiments.bench_cnn import comparisons

        return comparisons(self.batch_size, self.only)


@dataclasses.dataclass(frozen=True)
class Optim(Common):
    """An optimizer step on ResNet-50's parameters against optax and PyTorch."""

    only: str = ""
    """Part of a name; others are left out."""

    def comparisons(self) -> Iterator[Comparison]:
        """Each method on 161 leaves, on one, and on leaves of odd sizes."""
        from experiments.bench_optim import comparisons

        return comparisons(self.only)


Benchmark = (
    Annotated[Lenet, tyro.conf.subcommand("lenet")]
    | Annotated[Metrics, tyro.conf.subcommand("metrics")]
    | Annotated[Pointwise, tyro.conf.subcommand("pointwise")]
    | Annotated[Augment, tyro.conf.subcommand("augment")]
    | Annotated[Cnn, tyro.conf.subcommand("cnn")]
    | Annotated[Optim, tyro.conf.subcommand("optim")]
)


def main() -> None:
    """Runs the benchmark and prints a table."""
    os.environ.setdefault(*WAIT)
    options = tyro.cli(Benchmark, args=sys.argv[1:])  # type: ignore[call-overload]
    if options.write is not None:
        require_markers(options.write, section=name_of(options))
    lines = list(HEAD)
    print(*lines, sep="\n", flush=True)
    for comparison in options.comparisons():
        times = interleave(comparison.runs, rounds=options.rounds)
        new = list(rows(comparison, times))
        print(*new, sep="\n", flush=True)
        lines += new
    if options.write is not None:
        replace_table(options.write, f"{provenance(options)}\n\n" + "\n".join(lines), section=name_of(options))


def name_of(options: Any) -> str:
    """The word on the command line."""
    return type(options).__name__.lower()


def provenance(options: Any) -> str:
    """Command, hardware and versions, in a sentence."""
    from importlib.metadata import version
    from importlib.util import find_spec

    from fjdl.train.result import hardware
    from fjdl.train.rundir import environment

    packages = ", ".join(
        f"{name} {version(name)}"
        for name in ("jax", "jaxlib", "torch", "scikit-learn")
        if find_spec(name.replace("scikit-learn", "sklearn"))
    )
    waiting = f"{WAIT[0]}={os.environ.get(WAIT[0], 'unset')}"
    values = {f.name.replace("_", "-"): getattr(options, f.name) for f in dataclasses.fields(options)}
    flags = " ".join(f"--{name} {value}" for name, value in values.items() if name != "write" and value != "")
    return (
        f"`python -m experiments.bench {name_of(options)} {flags}`: medians of {options.rounds} turns, "
        f"{hardware(environment())}, {packages}, {waiting}."
    )


def interleave(contestants: dict[str, Callable[[], Any]], *, rounds: int) -> dict[str, list[float]]:
    """Seconds of each call, taken in turns.

    Worker threads of the contestant before spin for a while after its last call: each turn waits for them to sleep,
    then makes one call that is not timed.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            time.sleep(0.25)
            run()
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return times


HEAD = ("| | | median, ms | quartiles, ms | peer | median, ms | ratio |", "|---|---|---:|---:|---|---:|---:|")


def rows(comparison: Comparison, times: dict[str, list[float]]) -> Iterator[str]:
    """Median and quartiles of each contestant in milliseconds beside the median of the last one, the peer."""
    *_, (peer, reference) = times.items()
    bar = statistics.median(reference)
    beside = f"{peer}{_rate(comparison, bar)} | {1e3 * bar / comparison.calls:.2f}"
    for number, (name, values) in enumerate(times.items()):
        if name == peer:
            continue
        own = statistics.median(values)
        low, middle, high = (1e3 * value / comparison.calls for value in statistics.quantiles(values, n=4))
        cells = f"{name}{_rate(comparison, own)} | {middle:.2f} | {low:.2f} to {high:.2f}"
        yield f"| {'' if number else comparison.name} | {cells} | {beside} | {own / bar:.2f} |"


def _rate(comparison: Comparison, seconds: float) -> str:
    """Operations per second as a share of the best."""
    if not comparison.peak:
        return ""
    return f" ({100 * comparison.operations / seconds / comparison.peak:.0f} %)"


if __name__ == "__main__":
    run_guarded(main)
