"""Contestants that do the same work, timed in turns, as rows of a table."""

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

HEAD = ("| | | median, ms | quartiles, ms | peer | median, ms | ratio |", "|---|---|---:|---:|---|---:|---:|")


class Seconds(float):
    """What a contestant returns that measures a part of its call itself."""


class Comparison(NamedTuple):
    """Functions that do the same work, the peer last; each call is divided by `calls`."""

    name: str
    runs: dict[str, Callable[[], Any]]
    calls: int = 1
    operations: float = 0.0  # floating-point operations of a call, 0 where they are not counted
    peak: float = 0.0  # operations per second of the device at their best, measured in the same run


def interleave(contestants: dict[str, Callable[[], Any]], *, rounds: int) -> dict[str, list[float]]:
    """Seconds of each call, or those that it returns as `Seconds`, taken in turns.

    Worker threads of the contestant before spin for a while after its last call: each turn waits for them to sleep,
    then makes one call that is not timed.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            time.sleep(0.25)
            run()
            start = time.perf_counter()
            found = run()
            times[name].append(found if isinstance(found, Seconds) else time.perf_counter() - start)
    return times


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
        yield f"| {'' if number else comparison.name} | {cells} | {beside} | {_ratio(own / bar)} |"


def _ratio(value: float) -> str:
    """Two decimals, or two digits where these would say little.

    >>> _ratio(0.47), _ratio(12.345), _ratio(0.00193)
    ('0.47', '12.35', '0.0019')
    """
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def _rate(comparison: Comparison, seconds: float) -> str:
    """Operations per second as a share of the best."""
    if not comparison.peak:
        return ""
    return f" ({100 * comparison.operations / seconds / comparison.peak:.0f} %)"
