"""The directory of one run: what was asked for, where it ran, what came out, and a lock against a second run.

`command.txt config.json config.py data.json env.json git.json pretrained.json metrics.jsonl timing.jsonl
checkpoints/ paused/ diverged/ data/ plots/ result.json LOCK`
"""

import contextlib
import fcntl
import importlib.metadata
import os
import platform
import shlex
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import jax

from fjdl.errors import StorageError, UsageError
from fjdl.files import write_atomically
from fjdl.train.documents import (
    CODE,
    ENVIRONMENT,
    read_command,
    read_result,
    read_sealed,
    sealed_text,
    write_sealed,
)
from fjdl.train.json_files import encode_json, plain

_PACKAGES = ("jax", "jaxlib", "libtpu", "flax", "optax", "orbax-checkpoint", "numpy")
_VARIABLES = ("XLA_FLAGS", "LIBTPU_INIT_ARGS")
_SETTINGS = (
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_threefry_partitionable",
)


@dataclass(frozen=True, kw_only=True)
class RunDirectory:
    """Paths of one run; `warnings` says why a resumed run may differ in bits from an uninterrupted one."""

    path: Path
    warnings: tuple[str, ...] = ()

    @property
    def config_text(self) -> Path:
        """The config as it was when the run began, see `fjdl.train.config_files`."""
        return self.path / "config.py"

    @property
    def description(self) -> Path:
        """What the examples are, see `fjdl.train.description`."""
        return self.path / "data.json"

    @property
    def pretrained(self) -> Path:
        """What the run has begun with where not all was drawn, see `fjdl.train.beginning`."""
        return self.path / "pretrained.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of step directories, see `fjdl.train.checkpoint`."""
        return self.path / "checkpoints"

    @property
    def paused(self) -> Path:
        """Folder of the state that a stop inside of an epoch saved, until a later checkpoint takes its place."""
        return self.path / "paused"

    @property
    def diverged(self) -> Path:
        """Folder of the step at which training stopped since it was not finite, see `fjdl.train.diverged`."""
        return self.path / "diverged"

    @property
    def plots(self) -> Path:
        """Folder of figures."""
        return self.path / "plots"

    @property
    def data(self) -> Path:
        """Folder of what the data set says of how its examples were made, such as a vocabulary."""
        return self.path / "data"

    @property
    def profile(self) -> Path:
        """Folder of traces, where one was asked for."""
        return self.path / "profile"

    @property
    def metrics(self) -> Path:
        """One JSON record a line for what depends on the seed alone."""
        return self.path / "metrics.jsonl"

    @property
    def timing(self) -> Path:
        """One JSON record a line for what depends on the machine."""
        return self.path / "timing.jsonl"

    @property
    def result(self) -> Path:
        """Final numbers; the run is finished when they are there."""
        return self.path / "result.json"


@contextlib.contextmanager
def open_run(
    path: str | Path, *, command: Sequence[str], config: Mapping[str, Any], text: str | None = None
) -> Iterator[RunDirectory]:
    """A locked run directory, new or to be resumed; the lock falls when the block or the process ends, however it ends.

    `config` holds the resolved hyper-parameters and the sha256 of the config file's code, `text` is its text, which the
    run keeps. Raises `StorageError` where
    the directory cannot be written or another run holds it, and `UsageError` where it belongs to another configuration.
    What the first start recorded stays: a resumed run compares its environment and code with it and lists differences.
    Several processes: one of them opens the run.
    """
    with locked(path) as run:
        yield _describe(run, command=command, config=config, text=text)


@contextlib.contextmanager
def locked(path: Path | str) -> Iterator[RunDirectory]:
    """The run directory with its folders, locked while the block runs; raises `StorageError` as `open_run` does."""
    path = Path(path)
    with _storage_error(path):
        for folder in (path, path / "checkpoints", path / "plots"):
            folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path).close()
        lock = (path / "LOCK").open("a+")
    with lock:
        _acquire(lock, path)
        yield RunDirectory(path=path)


def finished(run: RunDirectory) -> dict[str, Any] | None:
    """The result of a run that has ended, else None; raises `StorageError` where result.json holds none."""
    return read_result(run.result) if run.result.exists() else None


def write_result(run: RunDirectory, result: Mapping[str, Any]) -> None:
    """Marks the run as finished, with its final numbers."""
    write_sealed(run.result, result)


def require_config(path: Path, config: Mapping[str, Any]) -> None:
    """Raises `UsageError` where the run directory belongs to another configuration; writes nothing."""
    if not (path / "config.json").exists():
        if any((path / "checkpoints").iterdir()):
            raise UsageError(f"{path} holds checkpoints but no config.json to say whose, choose another --run-dir")
        return
    changes = _differences(read_sealed(path / "config.json", {}), config, verb="asked for")
    if changes:
        raise UsageError(f"{path} belongs to another configuration ({'; '.join(changes)}), choose another --run-dir")


def environment() -> dict[str, Any]:
    """Everything outside the config that can change the bits of a run; no host name and no home directory."""
    devices = jax.devices()
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu_count": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        **{package: _version(package) for package in _PACKAGES},
        "backend": devices[0].platform,
        "device_kind": devices[0].device_kind,
        "device_count": len(devices),
        "process_count": jax.process_count(),
        **{name: os.environ.get(name, "").replace(os.path.expanduser("~"), "~") for name in _VARIABLES},
        **{setting: getattr(jax.config, setting) for setting in _SETTINGS},
    }


def code_version() -> dict[str, Any]:
    """Commit, dirty flag and diff of the working directory's repository; None for each where there is no git.

    Only files that git tracks count: the run itself may lie in the repository.
    """
    commit, diff = _git("rev-parse", "HEAD"), _git("diff", "--no-color", "--no-ext-diff", "HEAD")
    return {"commit": commit and commit.strip(), "dirty": None if diff is None else bool(diff), "diff": diff}


def _describe(
    run: RunDirectory, *, command: Sequence[str], config: Mapping[str, Any], text: str | None
) -> RunDirectory:
    path = run.path
    require_config(path, config)
    now = {"env.json": (environment(), ENVIRONMENT), "git.json": (code_version(), CODE)}
    changes = [
        f"{name.removesuffix('.json')} {change}"
        for name, (value, fields) in now.items()
        if (path / name).exists()
        for change in _differences(read_sealed(path / name, fields), value)
    ]
    gone = [name for name in ("command.txt", *now) if (path / "config.json").exists() and not (path / name).exists()]
    if (path / "command.txt").exists():
        read_command(path / "command.txt")
    else:
        write_atomically(path / "command.txt", sealed_text(shlex.join(command)))
    for name, (value, _) in now.items():
        if not (path / name).exists():
            write_sealed(path / name, value)
    if not (path / "config.json").exists():
        write_sealed(path / "config.json", config)
    if text is not None and not run.config_text.exists():
        write_atomically(run.config_text, sealed_text(text))
    replaced = (f"{name} was gone, and is written anew as it would be for a run that begins now" for name in gone)
    differing = (f"{change}; bitwise equality is no longer promised" for change in changes)
    return RunDirectory(path=path, warnings=(*replaced, *differing))


def _differences(old: Any, new: Any, *, verb: str = "now") -> list[str]:
    before, after = _flat(plain(old)), _flat(plain(new))
    return [
        f"{name}: run has {_short(before, name)}, {verb} {_short(after, name)}"
        for name in dict.fromkeys([*before, *after])
        if name not in before or name not in after or encode_json(before[name]) != encode_json(after[name])
    ]


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {prefix.removesuffix("."): value}
    return {name: leaf for key, item in value.items() for name, leaf in _flat(item, f"{prefix}{key}.").items()}


def _short(values: dict[str, Any], name: str) -> str:
    if name not in values:
        return "nothing"
    text = encode_json(values[name]).strip()
    return text if len(text) <= 80 else f"{text[:77]}..."


def _acquire(lock: IO[str], path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        raise StorageError(f"{path} is in use by another run ({lock.read().strip()})") from None
    with _storage_error(path):
        started = datetime.now(UTC).isoformat(timespec="seconds")
        lock.truncate(0)
        lock.write(f"host {socket.gethostname()}, process {os.getpid()}, started {started}\n")
        lock.flush()


@contextlib.contextmanager
def _storage_error(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename if isinstance(error.filename, str) else path
        raise StorageError(f"run directory {path} cannot be written: {error.strerror} ({where})") from error


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, check=True, timeout=10, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
