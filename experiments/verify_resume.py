"""Kill a run again and again and compare it with one left alone.

`python -m experiments.verify_resume configs/digits_mlp.py --kills 20`
"""

import dataclasses
import hashlib
import json
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import tyro

from experiments.command import run_guarded
from fjdl.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Options:
    """Kill -9 at random instants must change no bit; all other flags are the config's."""

    config: tyro.conf.Positional[Path]
    """The config file."""
    kills: int = 20
    """How often the run is killed before it may finish."""
    kill_seed: int = 0
    """Seed of the instants."""


class Kill(NamedTuple):
    """An instant: so many seconds after so many epochs are on record."""

    epochs: int
    seconds: float


def main() -> None:
    """Exit status 0 where nothing differs, else 1."""
    options, flags = tyro.cli(Options, args=sys.argv[1:], return_unknown_args=True)
    if options.kills < 1:
        raise UsageError(f"kills must be at least 1, got {options.kills}")
    with tempfile.TemporaryDirectory() as folder:
        same = verify(options.config, flags, kills=options.kills, seed=options.kill_seed, folder=Path(folder))
    sys.exit(0 if same else 1)


def verify(config: Path, flags: Sequence[str], *, kills: int, folder: Path, seed: int = 0) -> bool:
    """Whether a run killed that often ends like an uninterrupted one; a run that ends early makes room for another."""
    command = [sys.executable, "-m", "experiments.train", str(config), *flags, "--run-dir"]
    start = time.monotonic()
    expected = finish(command, folder / "whole")
    pending = plan(folder / "whole", kills, wall=time.monotonic() - start, seed=seed)
    same, number = True, 0
    while pending:
        number += 1
        run = folder / f"killed{number}"
        pending = interrupt(command, run, pending)
        found = finish(command, run)
        differing = [name for name in expected if found[name] != expected[name]]
        verdict = f"differs in {' and '.join(differing)}" if differing else "the same bits as without"
        print(f"after {kills - len(pending)} kills: {verdict}", flush=True)
        same = same and not differing
    return same


def plan(run: Path, kills: int, *, wall: float, seed: int) -> list[Kill]:
    """Every third instant lies in the start-up, up to the end of compilation; the others anywhere in the training."""
    seconds = [json.loads(line)["seconds"] for line in (run / "timing.jsonl").read_text().splitlines()]
    epoch, generator = statistics.median(seconds), random.Random(seed)
    start_up = wall - epoch * (len(seconds) - 1)
    early = len(range(0, kills, 3))
    epochs = iter(sorted(generator.randint(1, len(seconds)) for _ in range(kills - early)))
    return [
        Kill(0, generator.uniform(0, start_up)) if number % 3 == 0 else Kill(next(epochs), generator.uniform(0, epoch))
        for number in range(kills)
    ]


def interrupt(command: Sequence[str], run: Path, kills: Sequence[Kill]) -> list[Kill]:
    """Kills the run at each instant, then starts it again; returns those it ended before, the first drawn nearer."""
    for number, instant in enumerate(kills):
        epochs = instant.epochs and max(instant.epochs, recorded(run) + 1)
        with subprocess.Popen([*command, str(run)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and recorded(run) < epochs:
                time.sleep(0.002)
            try:
                process.wait(instant.seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
        if process.returncode != -signal.SIGKILL:
            return [instant._replace(seconds=instant.seconds / 2), *kills[number + 1 :]]
        saved = max((int(path.name) for path in (run / "checkpoints").glob("*") if path.name.isdigit()), default=0)
        when = f"{instant.seconds:.2f} s after epoch {epochs}"
        print(f"killed {when}: {recorded(run)} epochs on record, step {saved} saved", flush=True)
    return []


def recorded(run: Path) -> int:
    """Epochs in metrics.jsonl."""
    path = run / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def finish(command: Sequence[str], run: Path) -> dict[str, str]:
    """Lets the run end; what must not depend on interruptions."""
    done = subprocess.run(
        [*command, str(run)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        print(done.stderr, end="", file=sys.stderr)
        sys.exit(done.returncode)
    records = (run / "metrics.jsonl").read_bytes()
    return {
        "the best state": json.loads((run / "result.json").read_bytes())["state"],
        "the last state": json.loads(records.splitlines()[-1])["state"],
        "metrics.jsonl": hashlib.sha256(records).hexdigest(),
    }


if __name__ == "__main__":
    run_guarded(main)
