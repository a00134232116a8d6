"""Processes of a training that tests start, and what they say at their end."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from experiments.supervise import free_port
from fjdl.peers import Seat
from fjdl.peers.roll_call import VARIABLES
from tests.support import ROOT

ADDRESS, COUNT, INDEX = VARIABLES


def free_address() -> str:
    return f"127.0.0.1:{free_port()}"


def environment(devices: int, seat: Seat | None = None) -> dict[str, str]:
    place = {} if seat is None else {ADDRESS: seat.address, COUNT: str(seat.count), INDEX: str(seat.index)}
    return {**os.environ, "JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(devices), **place}


def start(words: Sequence[object], devices: int, seat: Seat | None, **changes: str) -> subprocess.Popen:
    """One process at its place, alone where there is none, with further variables."""
    return subprocess.Popen(
        [sys.executable, *map(str, words)],
        cwd=ROOT,
        env={**environment(devices, seat), **changes},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def start_all(
    words: Sequence[object], devices: int, count: int, changes: Sequence[Mapping[str, str]] = ()
) -> list[subprocess.Popen]:
    """All processes of a training, each with its further variables."""
    address = free_address()
    seats = [None] if count == 1 else [Seat(index, count, address) for index in range(count)]
    each = changes or [{}] * count
    return [start(words, devices, seat, **more) for seat, more in zip(seats, each, strict=True)]


def ended(processes: Sequence[subprocess.Popen]) -> list[tuple[int, str]]:
    """Status and last sentence of each."""
    found = []
    for process in processes:
        _, err = process.communicate(timeout=300)
        sentences = [line for line in err.splitlines() if line.startswith("fjdl: ")]
        found.append((process.returncode, sentences[-1] if sentences else err[-3000:]))
    return found
