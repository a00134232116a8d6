"""Run a training until it is done: `python -m experiments.supervise --processes 2 -- configs/digits_lenet.py`.

What stands behind `--` is that of `experiments.train`. A process that is preempted, killed, or left by its peers is
started again and goes on where the run was saved; a mistake, a full disk or an interrupt by hand ends it all.
"""

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import tyro

from experiments.command import config_among, run_guarded, split_at_dashes
from fjdl.errors import FjdlError, PeerLost, Stopped, UsageError
from fjdl.signals import Answer, StopRequest, stop_requests

AGAIN = (PeerLost.exit_status, 128 + signal.SIGTERM)  # statuses of a training that the same command resumes
LASTED = 600.0  # seconds after which an attempt counts as progress where another machine has the run
_POLL = 0.05  # seconds


@dataclasses.dataclass(frozen=True)
class Options:
    """Restart a training until it is done; the arguments of experiments.train follow behind --."""

    processes: int = 1
    """How many processes of this machine train together; machines of a slice each have one, and find one another."""
    restarts: int = 100
    """How often in a row it is started again without having come any further."""
    wait: float = 1.0
    """Seconds before the first of these restarts; each further one doubles them, up to a minute."""


class GaveUp(FjdlError):
    """A training ended too often; `exit_status` is its last one."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.exit_status = status


def main() -> None:
    """Splits the command line at --, and supervises."""
    own, training = split_at_dashes(sys.argv[1:])
    options = tyro.cli(Options, args=own)
    if options.processes < 1 or options.restarts < 0 or options.wait < 0:
        raise UsageError(
            f"processes must be at least 1, restarts and wait not negative, got {options.processes}, "
            f"{options.restarts} and {options.wait:g}"
        )
    if not training:
        raise UsageError("the arguments of experiments.train are needed behind --, got none")
    supervise([sys.executable, "-m", "experiments.train", *training], options, run=run_of(training))


def run_of(arguments: Sequence[str]) -> Path:
    """The run directory that experiments.train would take."""
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, _, value = word.partition("=")
        if name in ("--run-dir", "--run_dir"):
            return Path(value or following)
    return Path("runs") / (config_among(arguments) or Path("run")).stem


def supervise(command: Sequence[str], options: Options, *, run: Path, say: Callable[[str], None] = print) -> None:
    """Starts the command until it ends with status 0; the state of `run` says whether it came any further.

    Where it is on another machine, that of process 0, an attempt of ten minutes counts as having come further.
    Raises `GaveUp` for an end that a restart does not mend and after too many restarts without progress, and `Stopped`
    where this process is asked to stop, which then first waits for the training to save its state.
    """
    failures, before, began = 0, _progress(run), time.monotonic()
    with stop_requests(answer=Answer.WAIT) as stop:
        while status := _attempt(command, options.processes, stop):
            if stop.number is not None:
                raise Stopped(stop.number)
            if not is_worth_a_restart(status):
                raise GaveUp(f"the training ended with status {status}, which a restart does not mend", status)
            now = _progress(run)
            further = now != before or (not run.exists() and time.monotonic() - began > LASTED)
            failures, before = (1 if further else failures + 1), now
            if failures > options.restarts:
                raise GaveUp(f"the training ended {failures} times in a row without progress", shell_status(status))
            pause = min(60.0, options.wait * 2 ** (failures - 1))
            say(f"the training ended with status {status}, it is started again in {pause:g} s")
            _sleep(pause, stop)
            began = time.monotonic()


def is_worth_a_restart(status: int) -> bool:
    """Whether the same command resumes a training that ended so: preempted, left by a peer, or killed by a signal."""
    return status in AGAIN or (status < 0 and -status != signal.SIGINT)


def shell_status(status: int) -> int:
    """The status as a shell has it: 128 and the number of a signal."""
    return status if status >= 0 else 128 - status


def _attempt(command: Sequence[str], processes: int, stop: StopRequest) -> int:
    """The status of one start: 0 where all processes end well, else the one that says most about the reason."""
    seats = _seats(processes)
    running = [subprocess.Popen(command, env={**os.environ, **seat}) for seat in seats]
    try:
        told = False
        while any(process.poll() is None for process in running):
            if stop.number is not None and not told:
                told = True
                for process in running:
                    process.send_signal(signal.SIGTERM)
            time.sleep(_POLL)
    finally:
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                if process.poll() is None:
                    process.kill()
            process.wait()
    return reason([process.returncode for process in running])


def reason(statuses: Sequence[int]) -> int:
    """Of the statuses of all processes that which follows from no other: a mistake, else a kill, else a stop.

    >>> reason([0, 0]), reason([7, -9]), reason([3, 7])
    (0, -9, 3)
    """
    bad = [status for status in statuses if status]
    return min(bad, key=lambda status: (is_worth_a_restart(status), status >= 0), default=0)


def _seats(processes: int) -> Iterator[dict[str, str]]:
    """The environment of each process."""
    if processes == 1:
        yield {}
        return
    address = f"127.0.0.1:{free_port()}"
    for index in range(processes):
        yield {
            "JAX_COORDINATOR_ADDRESS": address,
            "JAX_NUM_PROCESSES": str(processes),
            "JAX_PROCESS_ID": str(index),
        }


def free_port() -> int:
    """A port that is free, with the one behind it."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port = first.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError), socket.create_server(("127.0.0.1", port + 1)):
                return port


def _progress(run: Path) -> tuple[str, ...]:
    """What changes as a training comes further: the names of saved states, and how long its records are."""
    saved = [path.name for folder in ("checkpoints", "paused") for path in (run / folder).glob("*")]
    records = run / "metrics.jsonl"
    return (*sorted(saved), str(records.stat().st_size if records.exists() else 0))


def _sleep(seconds: float, stop: StopRequest) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and stop.number is None:
        time.sleep(_POLL)
    stop.raise_if_requested()


if __name__ == "__main__":
    run_guarded(main)
