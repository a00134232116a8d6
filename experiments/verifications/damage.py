"""`verify damage`: each file of a run is damaged in a copy, and each reader must tell, or not be misled."""

import contextlib
import dataclasses
import io
import json
import logging
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import tyro

from experiments.pages.markdown import print_table, table_head, table_line
from experiments.verifications.machine import hardware
from fjdl.errors import FjdlError, UsageError

COLUMNS = ("file", "damages", "refused", "recovered with a warning", "without effect", "silent", "crashes", "hardware")
LEFT_OUT = ("LOCK", ".png")  # what no reader trusts


@dataclasses.dataclass(frozen=True)
class Options:
    """No damage of a file may change what a run is said to be without a word."""

    run: tyro.conf.Positional[Path]
    """A finished run directory, which stays as it is."""
    flips: int = 20
    """Single bits that are flipped in each file, one at a time; it is also cut short, emptied and deleted."""
    seed: int = 0
    """Seed of the places."""
    write: Path | None = None
    """A Markdown file whose generated part "damage" is replaced."""


class Outcome(NamedTuple):
    """What a reader made of a damaged run."""

    kind: str  # one of COLUMNS[2:-1]
    words: str


Reader = Callable[[Path], Any]


def main(arguments: Sequence[str]) -> bool:
    """Whether no damage was silent, and none crashed a reader."""
    options = tyro.cli(Options, args=arguments, prog="verify damage")
    if options.flips < 1:
        raise UsageError(f"flips must be at least 1, got {options.flips}")
    if not (options.run / "result.json").exists():
        raise UsageError(f"{options.run} is not finished: it has no result.json")
    totals: Counter[str] = Counter()

    def rows() -> Iterator[str]:
        yield from table_head(COLUMNS)
        found: dict[str, Counter[str]] = {}
        for name, outcome in outcomes(options.run, options.flips, random.Random(options.seed)):
            found.setdefault(name, Counter())[outcome.kind] += 1
        for name, counts in found.items():
            totals.update(counts)
            yield table_line([name, str(counts.total()), *(str(counts[kind]) for kind in COLUMNS[2:-1]), hardware()])

    print_table(rows(), options.write, section="damage")
    return not totals["silent"] and not totals["crashes"]


def outcomes(run: Path, flips: int, generator: random.Random) -> Iterator[tuple[str, Outcome]]:
    """The kind of each file with what each damage of it led to, the worst over all readers."""
    known = readers(run)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(shutil.copytree(run, Path(folder) / "run"))  # files can be linked within a disk alone
        whole = {name: told(reader, linked(run, Path(folder) / "whole")) for name, reader in known.items()}
        for file in files_of(run):
            name = file.relative_to(run)
            for damage, content in damages(file.read_bytes(), flips, generator):
                worst = max(
                    (judged(reader, damaged(run, Path(folder) / "copy", name, content), whole[kind]))
                    for kind, reader in known.items()
                )
                if worst[1].kind in ("silent", "crashes"):
                    print(f"{name}, {damage}: {worst[1].words}", file=sys.__stderr__, flush=True)
                yield kind_of(name), worst[1]


def files_of(run: Path) -> list[Path]:
    """The files that readers trust."""
    return sorted(path for path in run.rglob("*") if path.is_file() and not path.name.endswith(LEFT_OUT))


def damages(content: bytes, flips: int, generator: random.Random) -> Iterator[tuple[str, bytes | None]]:
    """Contents in the place of a file's, None for no file."""
    for _ in range(flips if content else 0):
        place, changed = generator.randrange(8 * len(content)), bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        yield f"bit {place} flipped", bytes(changed)
    for length in {0, generator.randrange(len(content))} if content else ():
        yield f"cut to {length} bytes", content[:length]
    yield "deleted", None


def linked(run: Path, to: Path) -> Path:
    """A copy of the run, whose files are not copied."""
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(run, to, copy_function=os.link, ignore=shutil.ignore_patterns("LOCK")))


def damaged(run: Path, to: Path, name: Path, content: bytes | None) -> Path:
    """A copy of the run with another content of one file."""
    path = linked(run, to) / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    return to


def judged(reader: Reader, run: Path, expected: Any) -> tuple[int, Outcome]:
    """What a reader makes of a damaged run, and how bad that is."""
    warnings = io.StringIO()
    handler = logging.StreamHandler(warnings)
    log = logging.getLogger("fjdl")
    log.addHandler(handler)
    propagated, log.propagate = log.propagate, False
    try:
        with contextlib.redirect_stderr(warnings):
            found = told(reader, run)
    except FjdlError as error:
        return 2, Outcome("refused", str(error))
    except Exception as error:
        return 4, Outcome("crashes", f"{type(error).__name__}: {error}")
    finally:
        log.removeHandler(handler)
        log.propagate = propagated
    warned = bool(warnings.getvalue() or found.warnings)
    if warned:
        return 1, Outcome("recovered with a warning", "")
    if found.value == expected.value:
        return 0, Outcome("without effect", "")
    return 3, Outcome("silent", f"{expected.value} became {found.value}")


class Told(NamedTuple):
    """What a reader says of a run."""

    value: str
    warnings: tuple[str, ...]


def told(reader: Reader, run: Path) -> Told:
    """What a reader says, with nothing printed."""
    with contextlib.redirect_stdout(io.StringIO()):
        value = reader(run)
    warnings = value.pop("warnings", ()) if isinstance(value, dict) else ()
    return Told(json.dumps(value, sort_keys=True, default=str).replace(str(run), "RUN"), tuple(warnings))


def readers(run: Path) -> dict[str, Reader]:
    """What commands do with the files of a run, up to where they compute: their data and program are made once."""
    import jax

    from experiments.command import open_experiment
    from experiments.diagnoses.from_records import from_records, read_finished, read_records
    from experiments.report import load_all, rows
    from fjdl.train.data_files import require_files
    from fjdl.train.description import described, read_description
    from fjdl.train.documents import CODE, CONFIG, ENVIRONMENT, read_command, read_sealed
    from fjdl.train.prepare import prepare
    from fjdl.train.records import read_timing
    from fjdl.train.resume import Paused, read_best, restore_latest
    from fjdl.train.rundir import RunDirectory, open_run
    from fjdl.tree import digest

    experiment = open_experiment(run)
    _, splits, _, program = prepare(experiment.recipe)
    state, tally = jax.eval_shape(program.init), jax.eval_shape(program.single.start)
    per_epoch = program.steps_per_epoch

    def evaluate(path: Path) -> Any:
        config, directory = open_experiment(path).config, RunDirectory(path=path)
        require_files(directory, splits)
        best = read_best(directory, state, per_epoch)
        data = read_description(directory) or described(splits, steps_per_epoch=per_epoch)
        return {"config": config["arguments"], "state": digest(best), "data": dataclasses.asdict(data)}

    def resume(path: Path) -> Any:
        (path / "result.json").unlink(missing_ok=True)
        config = read_sealed(path / "config.json", CONFIG) if (path / "config.json").exists() else experiment.config
        with open_run(path, command=["train"], config=config) as directory:
            restored = restore_latest(directory, Paused(state, tally), per_epoch).state
            if isinstance(restored.step, jax.ShapeDtypeStruct):
                return {"step": 0, "warnings": directory.warnings}
            step = int(restored.step)
            times = read_timing(directory.timing, steps_per_epoch=per_epoch, until=step)
            return {
                "step": step,
                "state": digest(restored),
                "seconds": sum(each["seconds"] for each in times),
                "command": read_command(path / "command.txt"),
                "code": read_sealed(path / "git.json", CODE),
                "environment": read_sealed(path / "env.json", ENVIRONMENT),
                "warnings": directory.warnings,
            }

    def diagnose(path: Path) -> Any:
        result = read_finished(path)
        words = [each.words for each in from_records(read_records(path), result)]
        return {"words": words, "warnings": () if result else ("not finished",)}

    return {
        "evaluate": evaluate,
        "train": resume,
        "report": lambda path: rows(load_all([path])),
        "plot": lambda path: read_records(path),
        "diagnose": diagnose,
    }


def kind_of(name: Path) -> str:
    """The file's name, or what it is of a checkpoint."""
    if name.parts[0] != "checkpoints":
        return str(name)
    return "checkpoint: arrays" if "d" in name.parts else f"checkpoint: {name.name}"
