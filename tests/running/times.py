"""`pytest -p tests.running.times` prints seconds and peak memory of each test file, those that take longest first.

The peak is that of the process while a test of the file runs, with all that earlier tests left; only Linux tells it.
"""

from collections.abc import Generator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

STATUS, REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Cost(NamedTuple):
    """Of some tests: how many, their seconds, and the most bytes of memory."""

    tests: int = 0
    seconds: float = 0.0
    peak: int = 0


COSTS: dict[str, Cost] = {}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    if REFERENCES.exists():
        REFERENCES.write_text("5")  # the peak begins anew


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    report = yield
    report.peak_bytes = peak_bytes() if report.when == "teardown" else 0
    return report


def pytest_runtest_logreport(report: Any) -> None:
    file = report.nodeid.partition("::")[0]
    tests, seconds, peak = COSTS.get(file, Cost())
    COSTS[file] = Cost(tests + (report.when == "setup"), seconds + report.duration, max(peak, report.peak_bytes))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    terminalreporter.section("seconds and peak memory of each file")
    for file, cost in sorted(COSTS.items(), key=lambda pair: -pair[1].seconds):
        terminalreporter.write_line(f"{cost.seconds:8.1f} s {cost.peak / 2**20:7.0f} MiB {cost.tests:6d} tests  {file}")
    total = sum(cost.seconds for cost in COSTS.values())
    terminalreporter.write_line(f"{total:8.1f} s in all, in all processes together")


def peak_bytes() -> int:
    """The most memory that this process held since the peak began anew; 0 where nothing tells."""
    if not STATUS.exists():
        return 0
    line = next((line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    return int(line.split()[1]) * 1024
