"""Speed against peers, measured in turns in one process: `python -m experiments.bench lenet`."""

import dataclasses
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, Literal

import tyro

from experiments.command import run_guarded


@dataclasses.dataclass(frozen=True)
class Options:
    """Medians of interleaved runs; a ratio below 1 means that fjdl is faster."""

    what: tyro.conf.Positional[Literal["lenet"]]
    """lenet: a training step of LeNet-5 against PyTorch."""
    batch_size: int = 128
    """Examples per step."""
    rounds: int = 60
    """Turns; each times every contestant once."""
    steps: int = 10
    """Training steps per turn."""


def main() -> None:
    """Runs the benchmark and prints a table."""
    options = tyro.cli(Options, args=sys.argv[1:])
    from experiments.bench_lenet import contestants

    times = interleave(contestants(options.batch_size, options.steps), rounds=options.rounds)
    print(format_table({name: [t / options.steps for t in values] for name, values in times.items()}))


def interleave(contestants: dict[str, Callable[[], Any]], *, rounds: int) -> dict[str, list[float]]:
    """Seconds of each call, taken in turns after two rounds that are not counted."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds + 2):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            if turn >= 2:
                times[name].append(time.perf_counter() - start)
    return times


def format_table(times: dict[str, list[float]]) -> str:
    """Median and quartiles in milliseconds, and each median over the last contestant's, the peer's."""
    peer = statistics.median(list(times.values())[-1])
    lines = [f"{'':34} {'median':>8} {'quartiles':>16} {'ratio':>6}"]
    for name, values in times.items():
        low, middle, high = statistics.quantiles(values, n=4)
        lines.append(f"{name:34} {middle * 1e3:7.2f}  {low * 1e3:7.2f}-{high * 1e3:7.2f}  {middle / peer:6.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    run_guarded(main)
