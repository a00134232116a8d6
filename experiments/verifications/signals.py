"""`verify signals`: a training is asked to stop in each of its phases, and how long it takes is measured."""

import dataclasses
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import tyro

from experiments.pages.markdown import print_table, table_head, table_line
from experiments.verifications.machine import hardware
from experiments.verifications.resume import finish, recorded
from fjdl.errors import UsageError

COLUMNS = ("asked to stop", "n", "longest, s", "exit statuses", "afterwards", "hardware")
LONGEST = 10.0  # seconds
ENDS = (0, 143, -signal.SIGTERM)  # it had ended, it answered, Python was not up yet


@dataclasses.dataclass(frozen=True)
class Options:
    """SIGTERM must end a training within seconds whatever it does; all other flags are the config's."""

    config: tyro.conf.Positional[Path]
    """The config file."""
    times: int = 3
    """How often it is asked in each phase."""
    write: Path | None = None
    """A Markdown file whose generated part "signals" is replaced."""


class Watched(NamedTuple):
    """A training that is under way."""

    run: Path
    printed: list[str]
    start: float
    epochs: int  # that it will have


class Stop(NamedTuple):
    """How a training answered."""

    seconds: float  # from the signal to its end
    status: int
    same: bool  # whether the same command ended with the bits of a training that was left alone


Phase = Callable[[Watched], bool]


def _says(words: str) -> Phase:
    return lambda watched: any(words in line for line in watched.printed)


PHASES: dict[str, Phase] = {
    "0.2 s after the start": lambda watched: time.monotonic() - watched.start > 0.2,
    "1 s after the start": lambda watched: time.monotonic() - watched.start > 1,
    "data are checked, the run directory is open": lambda watched: (watched.run / "LOCK").exists(),
    "it compiles": _says("compiling"),
    "it trains": lambda watched: recorded(watched.run) >= 2,
    "it saves": lambda watched: any((watched.run / "checkpoints").glob("*.partial-*")),
    "the last epoch is on record": lambda watched: recorded(watched.run) >= watched.epochs,
}


def main(arguments: Sequence[str]) -> bool:
    """Whether it stopped in time each time, said so in its status, and lost no bit."""
    options, flags = tyro.cli(Options, args=arguments, return_unknown_args=True, prog="verify signals")
    if options.times < 1:
        raise UsageError(f"times must be at least 1, got {options.times}")
    found: list[Stop] = []

    def rows() -> Iterator[str]:
        yield from table_head(COLUMNS)
        command = [sys.executable, "-m", "experiments.train", str(options.config), *flags, "--run-dir"]
        with tempfile.TemporaryDirectory() as folder:
            expected = finish(command, Path(folder) / "whole")
            epochs = recorded(Path(folder) / "whole")
            for number, (name, phase) in enumerate(PHASES.items()):
                stops = [
                    stop(command, Path(folder) / f"run{number}-{again}", phase, epochs, expected)
                    for again in range(options.times)
                ]
                found.extend(stops)
                yield row(name, stops)

    print_table(rows(), options.write, section="signals")
    return all(each.same and each.status in ENDS and each.seconds <= LONGEST for each in found)


def row(name: str, stops: Sequence[Stop]) -> str:
    """The line of a phase in the table."""
    statuses = ", ".join(str(status) for status in sorted({each.status for each in stops}))
    then = "the same bits" if all(each.same for each in stops) else "other bits"
    longest = max(each.seconds for each in stops)
    return table_line([name, str(len(stops)), f"{longest:.1f}", statuses, then, hardware()])


def stop(command: Sequence[str], run: Path, phase: Phase, epochs: int, expected: dict[str, str]) -> Stop:
    """Asks a training to stop when it is in a phase, then lets the same command end it."""
    with subprocess.Popen(
        [*command, str(run)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1
    ) as process:
        watched = Watched(run, [], time.monotonic(), epochs)
        reader = threading.Thread(target=lambda: watched.printed.extend(process.stdout or ()), daemon=True)
        reader.start()
        while process.poll() is None and not phase(watched):
            time.sleep(0.001)
        process.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        process.wait()
        seconds = time.monotonic() - asked
        reader.join()
    return Stop(seconds, process.returncode, finish(command, run) == expected)
