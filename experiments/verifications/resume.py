"""`verify resume`: kill trainings again and again, and compare them with one that is left alone."""

import contextlib
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
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import tyro

from experiments.pages.markdown import print_table, table_head, table_line
from experiments.verifications.machine import hardware
from fjdl.errors import UsageError

COLUMNS = ("config", "kills", "aimed at start-up", "runs", "differing digests", "seconds for a kill", "hardware")


@dataclasses.dataclass(frozen=True)
class Options:
    """Kill -9 at random instants must change no bit; all other flags are the configs'."""

    configs: tyro.conf.Positional[tuple[Path, ...]]
    """The config files."""
    kills: int = 20
    """How often trainings are killed, over all configs."""
    kill_seed: int = 0
    """Seed of the instants."""
    write: Path | None = None
    """A Markdown file whose generated part "resume" is replaced."""


class Kill(NamedTuple):
    """An instant: so many seconds after so many epochs are on record."""

    epochs: int
    seconds: float


class Verdict(NamedTuple):
    """What came of the kills of one config."""

    kills: int
    early: int  # of them aimed at the time before the first epoch
    runs: int  # which were compared with the one that was left alone
    differing: int  # digests and records, of all runs
    seconds: float  # that each kill took, with the start after it


def main(arguments: Sequence[str]) -> bool:
    """Whether nothing differs."""
    options, flags = tyro.cli(Options, args=arguments, return_unknown_args=True, prog="verify resume")
    configs = options.configs
    if not configs or options.kills < len(configs):
        raise UsageError(f"there must be a config, and a kill for each, got {len(configs)} and {options.kills} kills")
    verdicts: list[Verdict] = []

    def rows() -> Iterator[str]:
        yield from table_head(COLUMNS)
        for number, config in enumerate(configs):
            kills = len(range(number, options.kills, len(configs)))
            with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
                verdicts.append(verify(config, flags, kills=kills, seed=options.kill_seed, folder=Path(folder)))
            yield row(config, verdicts[-1])

    print_table(rows(), options.write, section="resume")
    return not any(verdict.differing for verdict in verdicts)


def row(config: Path, verdict: Verdict) -> str:
    """The line of a config in the table."""
    kills, early, runs, differing, seconds = verdict
    return table_line([config.stem, str(kills), str(early), str(runs), str(differing), f"{seconds:.1f}", hardware()])


def verify(config: Path, flags: Sequence[str], *, kills: int, folder: Path, seed: int = 0) -> Verdict:
    """Kills a training that often; a run that ends early makes room for another."""
    command = [sys.executable, "-m", "experiments.train", str(config), *flags, "--run-dir"]
    start = time.monotonic()
    expected = finish(command, folder / "whole")
    begun = time.monotonic()
    instants = pending = plan(folder / "whole", kills, wall=begun - start, seed=seed)
    wrong, number = 0, 0
    while pending:
        number += 1
        run = folder / f"killed{number}"
        pending = interrupt(command, run, pending)
        found = finish(command, run)
        differing = [name for name in expected if found[name] != expected[name]]
        verdict = f"differs in {' and '.join(differing)}" if differing else "the same bits as without"
        print(f"after {kills - len(pending)} kills: {verdict}", flush=True)
        wrong += len(differing)
    early = sum(instant.epochs == 0 for instant in instants)
    return Verdict(kills, early, number, wrong, (time.monotonic() - begun) / kills)


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
    return ended(run)


def ended(run: Path) -> dict[str, str]:
    """What must not depend on interruptions, of a run that has ended."""
    records = (run / "metrics.jsonl").read_bytes()
    return {
        "the best state": json.loads((run / "result.json").read_bytes())["state"],
        "the last state": json.loads(records.splitlines()[-1])["state"],
        "metrics.jsonl": hashlib.sha256(records).hexdigest(),
    }
