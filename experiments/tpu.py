"""TPUs before they are rented, and renting them: `python -m experiments.tpu check configs/digits_lenet.py`.

`check` and `table` compile the programs that `experiments.train` would run, by the compiler for TPUs, on a machine that
has none: nothing runs on a TPU, and `docs/tpu.md` says how to read the numbers. `plan`, `create`, `sync`, `run`,
`logs`, `fetch` and `delete` print the commands of Google Cloud's own tools for one training, and run them with `--yes`
alone: `TPU_SETUP.md` says how they are used.
"""

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import tyro

from experiments.command import run_guarded
from experiments.compiled.page import make
from experiments.compiled.scaling import write as predict
from experiments.compiled.topology import CompilerError
from experiments.launch.verbs import VERBS, described, main as launch
from fjdl.errors import UsageError

ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",  # of the process; programs are compiled for the devices of a topology
    "TPU_SKIP_MDS_QUERY": "1",  # nobody is asked which TPU this machine has
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "true",  # checks may run side by side
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",  # what libtpu would look for otherwise, and complain that it found none
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
    "TPU_STDERR_LOG_LEVEL": "3",
    "TPU_MIN_LOG_LEVEL": "3",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


@dataclasses.dataclass(frozen=True)
class Check:
    """Compile a config for a slice of TPUs and say what it costs; `check CONFIG --help` lists all options."""

    config: tyro.conf.Positional[Path]
    """The config file; options and the config's own options follow."""


@dataclasses.dataclass(frozen=True)
class Table:
    """Compile all configs for a slice of one host and one of several, and write the tables of a page."""

    write: Path = Path("docs/tpu.md")
    """The Markdown file whose generated parts are replaced row by row."""
    only: tuple[str, ...] = ()
    """Names of configs; the rows of others stay."""
    topologies: tuple[str, ...] = ("v5e:2x2", "v5e:4x4")
    """The slices, a table each."""
    precision: str = "bfloat16"
    """Of activations and products."""
    again: bool = False
    """Compile what has a row already anew."""


@dataclasses.dataclass(frozen=True)
class Scaling:
    """Predict the efficiency of a step on 8 to 1,024 chips from what `check --programs step --json FILE` wrote."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """What checks wrote, a config each."""
    write: Path | None = None
    """A Markdown file whose generated part "scaling" is replaced."""


def main() -> None:
    """Checks in a process of its own, makes the tables, or launches."""
    if sys.argv[1:2] and sys.argv[1] in VERBS:
        launch(sys.argv[1], sys.argv[2:])
        return
    if sys.argv[1:2] == ["largest"]:
        sys.exit(compile_in_a_process(sys.argv[2:], module="experiments.compiled.largest"))
    if sys.argv[1:2] == ["check"] and any(word.endswith(".py") for word in sys.argv[2:]):
        sys.exit(compile_in_a_process(sys.argv[2:]))
    chosen = tyro.extras.subcommand_cli_from_dict(
        {
            "check": Check,
            "table": Table,
            "scaling": Scaling,
            "largest": described("Find the widest network whose step fits a slice; `largest --help` lists options."),
            **{verb: described(text) for verb, text in VERBS.items()},
        },
        args=sys.argv[1:],
    )
    if isinstance(chosen, Check):
        raise UsageError(f"a config is needed, such as configs/digits_lenet.py, got {chosen.config}")
    if isinstance(chosen, Scaling):
        predict(chosen.files, chosen.write)
        return
    assert isinstance(chosen, Table)
    make(
        chosen.write,
        compile_in_a_process,
        topologies=chosen.topologies,
        precision=chosen.precision,
        only=chosen.only,
        again=chosen.again,
    )


def compile_in_a_process(arguments: list[str], *, module: str = "experiments.compiled.child") -> int:
    """The exit status of a check in a process that may load the compiler, and may end with it.

    Raises `CompilerError` where a signal ended it.
    """
    command = [sys.executable, "-m", module, *arguments]
    status = subprocess.run(command, env={**os.environ, **ENVIRONMENT}, check=False).returncode
    if status < 0:
        name = signal.Signals(-status).name
        raise CompilerError(
            f"the TPU compiler ended with {name} in the program that was named last; its words are above"
        )
    return status


if __name__ == "__main__":
    run_guarded(main)
