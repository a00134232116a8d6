"""`verify disk`: a training meets a disk that is full, read-only or limited, and goes on when there is room again."""

import dataclasses
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import tyro

from experiments.pages.markdown import print_table, table_head, table_line
from experiments.verifications.machine import hardware
from experiments.verifications.resume import finish
from fjdl.errors import UsageError

COLUMNS = ("disk", "exit status", "lines of error", "last words", "then", "hardware")
INSIDE = "FJDL_VERIFY_DISK"
LIMIT = 4096  # bytes that a file may have
SIZE = "3m"


@dataclasses.dataclass(frozen=True)
class Options:
    """A full disk must end a training with one sentence, and cost no bit; all other flags are the config's."""

    config: tyro.conf.Positional[Path]
    """The config file."""
    write: Path | None = None
    """A Markdown file whose generated part "disk" is replaced."""


class Outcome(NamedTuple):
    """How a training ended on a bad disk, and the same command on a good one."""

    status: int
    errors: list[str]
    same: bool  # whether it ended with the bits of a training that met no bad disk

    @property
    def holds(self) -> bool:
        """One sentence, the status of storage, and no bit lost."""
        return self.status == 6 and len(self.errors) == 1 and self.same


def main(arguments: Sequence[str]) -> bool:
    """Whether each kind of disk ended the training in one sentence, and it went on to the same bits."""
    options, flags = tyro.cli(Options, args=arguments, return_unknown_args=True, prog="verify disk")
    if INSIDE not in os.environ:  # once more, where the disk is its own
        words = ["unshare", "--map-root-user", "--mount", sys.executable, "-m", "experiments.verify", "disk"]
        try:
            done = subprocess.run([*words, *arguments], env={**os.environ, INSIDE: "1"}, check=False)
        except FileNotFoundError as error:
            raise UsageError("verify disk needs the command unshare of Linux, got none") from error
        return done.returncode == 0
    found: list[Outcome] = []

    def rows() -> Iterator[str]:
        yield from table_head(COLUMNS)
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "experiments.train", str(options.config), *flags, "--run-dir"]
            expected = finish(command, Path(folder) / "whole")
            for name, harm in KINDS.items():
                found.append(met(command, Path(folder) / name.partition(" ")[0], harm, expected))
                yield row(name, found[-1], folder)

    print_table(rows(), options.write, section="disk")
    return all(outcome.holds for outcome in found)


def row(name: str, outcome: Outcome, folder: str) -> str:
    """The line of a kind of disk in the table."""
    words = (outcome.errors or [""])[-1].removeprefix("fjdl: ").replace(f"{folder}/", "").replace("|", "\\|")
    then = "the same bits" if outcome.same else "other bits"
    return table_line([name, str(outcome.status), str(len(outcome.errors)), words, then, hardware()])


def met(command: Sequence[str], disk: Path, harm: "Harm", expected: dict[str, str]) -> Outcome:
    """A training on a disk of its own that comes to harm after the first checkpoint; then the same command again."""
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(disk)], check=True)
    run = disk / "run"
    try:
        words = [*harm.limit, *command, str(run)]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            while not harm.limit and process.poll() is None and not any((run / "checkpoints").glob("[0-9]*")):
                time.sleep(0.002)
            if harm.when_it_goes_on:
                process.kill()
                process.wait()
            harm.begin(disk)
            errors = process.communicate()[1]
        status = process.returncode
        if harm.when_it_goes_on:
            again = subprocess.run([*command, str(run)], capture_output=True, text=True, check=False)
            status, errors = again.returncode, again.stderr
        harm.end(disk)
        told = [line for line in errors.splitlines() if line.strip() and not line.startswith(("step ", "warning: "))]
        return Outcome(status, told, finish(command, run) == expected)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=False)


class Harm(NamedTuple):
    """What happens to a disk, and how it ends; a limit, as words before a command, is that of the training alone."""

    begin: Callable[[Path], None]
    end: Callable[[Path], None]
    limit: Sequence[str] = ()
    when_it_goes_on: bool = False  # the training is killed before, and started again: no file is open for writing


def _fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def _mounted(how: str) -> Callable[[Path], None]:
    return lambda disk: subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True) and None


def _nothing(disk: Path) -> None:
    """The disk is as it was."""


KINDS = {
    f"full ({SIZE}, from the first checkpoint on)": Harm(_fill, lambda disk: (disk / "filler").unlink()),
    "read-only (as it goes on)": Harm(_mounted("ro"), _mounted("rw"), when_it_goes_on=True),
    f"limited to files of {LIMIT:,} bytes": Harm(_nothing, _nothing, ("prlimit", f"--fsize={LIMIT}")),
}
