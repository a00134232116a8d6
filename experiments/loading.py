"""How fast examples can be made: `python -m experiments.loading configs/imagenet_resnet50.py --try-workers 0 4 8`.

Streamed data come from threads of this process and from `workers` processes beside it. This makes batches of a config's
training part as a training does, without a device, and says how many examples a second each number of workers gives.
"""

import dataclasses
import itertools
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import tyro

from experiments.command import parse, run_guarded
from fjdl.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Options:
    """Measure how fast the examples of a config are made, by number of worker processes."""

    config: tyro.conf.Positional[Path]
    """The config file; its own options follow."""
    try_workers: tuple[int, ...] = (0, 2, 4)
    """Numbers of workers to measure, one after the other."""
    seconds: float = 10.0
    """How long each of them is measured, its first batch apart."""


class Speed(NamedTuple):
    """What one number of workers gives."""

    workers: int
    first: float  # seconds until the first batch, which starts the processes
    rate: float  # examples per second after it


def main() -> None:
    """Prints a line for each number of workers."""
    options, experiment = parse(Options, sys.argv[1:])
    if options.seconds <= 0 or min(options.try_workers, default=-1) < 0:
        raise UsageError(
            f"seconds must be positive and try_workers not negative, got {options.seconds} and {options.try_workers}"
        )
    recipe, train = experiment.recipe, experiment.recipe.splits().train
    print(
        f"{train.length:,} examples in batches of {recipe.batch_size}; {len(os.sched_getaffinity(0))} cores", flush=True
    )
    for workers in options.try_workers:
        speed = measure(recipe, train, workers=workers, seconds=options.seconds)
        print(f"{workers:3} workers: {speed.rate:10,.0f} examples/s, first batch after {speed.first:.1f} s", flush=True)


def measure(recipe: Any, source: Any, *, workers: int, seconds: float) -> Speed:
    """Makes batches in the order of a training for so long, and at least two after the first."""
    from fjdl.data.loading import load_batches
    from fjdl.train.state import Stream, stream_key

    key, size = stream_key(recipe.seed, Stream.ORDER), recipe.batch_size
    start = time.monotonic()
    batches: Iterator[Any] = load_batches(key, source, batch_size=size, stop=2**31 - 1, workers=workers)
    with closing(batches):  # type: ignore[type-var]
        next(batches)
        begun, made = time.monotonic(), 0
        for number in itertools.count(1):
            made += int(next(batches)["example_mask"].sum())
            if number >= 2 and time.monotonic() - begun >= seconds:
                break
        return Speed(workers, begun - start, made / (time.monotonic() - begun))


if __name__ == "__main__":
    run_guarded(main)
