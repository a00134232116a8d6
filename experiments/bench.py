"""Speed against peers, measured in turns in one process: `python -m experiments.bench lenet`."""

import dataclasses
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import tyro

from experiments.command import run_guarded
from experiments.markdown import replace_table


@dataclasses.dataclass(frozen=True)
class Options:
    """Medians of interleaved runs; a ratio below 1 means that fjdl is faster."""

    what: tyro.conf.Positional[Literal["lenet"]]
    """lenet: a training step of LeNet-5 against PyTorch."""
    batch_size: int = 128
    """Examples per step."""
    rounds: int = 30
    """Turns; each times every contestant once."""
    steps: int = 10
    """Training steps per turn."""
    write: Path | None = None
    """A Markdown file in which the generated part is replaced."""


def main() -> None:
    """Runs the benchmark and prints a table."""
    options = tyro.cli(Options, args=sys.argv[1:])
    from experiments.bench_lenet import contestants

    times = interleave(contestants(options.batch_size, options.steps), rounds=options.rounds)
    table = format_table({name: [t / options.steps for t in values] for name, values in times.items()})
    print(table)
    if options.write is not None:
        replace_table(options.write, f"{provenance(options)}\n\n{table}")


def provenance(options: Options) -> str:
    """Command, hardware and versions, in a sentence."""
    from importlib.metadata import version

    from fjdl.train.result import hardware
    from fjdl.train.rundir import environment

    packages = ", ".join(f"{name} {version(name)}" for name in ("jax", "torch"))
    command = f"python -m experiments.bench {options.what} --batch-size {options.batch_size} --rounds {options.rounds}"
    return f"`{command}`: batch {options.batch_size}, {options.rounds} turns, {hardware(environment())}, {packages}."


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


def format_table(times: dict[str, list[float]]) -> str:
    """Median and quartiles in milliseconds, and each median over the last contestant's, the peer's."""
    peer = statistics.median(list(times.values())[-1])
    lines = ["| | median, ms | quartiles, ms | ratio to the last |", "|---|---:|---:|---:|"]
    for name, values in times.items():
        low, middle, high = (1e3 * value for value in statistics.quantiles(values, n=4))
        lines.append(f"| {name} | {middle:.2f} | {low:.2f} to {high:.2f} | {middle / (1e3 * peer):.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    run_guarded(main)
