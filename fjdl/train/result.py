"""The final numbers of a run, on test data that nothing else has seen."""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from fjdl.data.source import Source
from fjdl.train.documents import CODE, ENVIRONMENT, read_command, read_sealed
from fjdl.train.evaluation import Evaluator, Results
from fjdl.train.prepare import Prepared
from fjdl.train.processes import is_first, on_host
from fjdl.train.records import read_metrics, read_timing, require_state
from fjdl.train.rundir import RunDirectory
from fjdl.train.state import TrainState, evaluated_params
from fjdl.train.summary import summarized
from fjdl.tree import count, digest


def final_result(prepared: Prepared, run: RunDirectory, state: TrainState, *, steps: int) -> dict[str, Any]:
    """Results of the best epoch's `state` on the validation and test parts, with what it took to get there.

    `steps` is how many the run took. Raises `StorageError` where its records have gaps, and `CheckpointError` where
    they have another state than this at its step. Of several processes all call it, and the first has the result.
    """
    recipe, splits, _, program = prepared
    per_epoch, whole = program.steps_per_epoch, on_host(state)
    measured = {
        part: summarized(recipe.told, measure(program.evaluator, state, source, part=part))
        for part, source in (("validation", splits.validation), ("test", splits.test))
    }
    if not is_first():
        return {}
    identity = digest(whole)
    records = read_metrics(run.metrics, steps_per_epoch=per_epoch, until=steps)
    times = read_timing(run.timing, steps_per_epoch=per_epoch, until=steps)
    require_state(records, int(state.step), identity, where=run.checkpoints / str(int(state.step)))
    environment = read_sealed(run.path / "env.json", ENVIRONMENT)
    return {
        "data": splits.name,
        "headline": recipe.told.headline,
        "seed": recipe.seed,
        "precision": recipe.precision,
        "parameters": count(state.params),
        "best_step": int(state.step),
        "best_epoch": int(state.step) // per_epoch,
        "epochs": steps // per_epoch,
        "examples": {"train": splits.train.length, "validation": splits.validation.length, "test": splits.test.length},
        **measured,
        "seconds": sum(record["seconds"] for record in times),
        "hardware": hardware(environment),
        "command": read_command(run.path / "command.txt"),
        "commit": read_sealed(run.path / "git.json", CODE)["commit"],
        "state": identity,
    }


def measure(evaluator: Evaluator, state: TrainState, source: Source, *, part: str = "given") -> Results:
    """The results of a training state on a source, on the host."""
    return jax.device_get(evaluator.on(source, part=part)(evaluated_params(state), state.stats))


def hardware(environment: Mapping[str, Any]) -> str:
    """The machine in words, from a run's env.json."""
    if environment["backend"] != "cpu":
        return f"{environment['device_count']} x {environment['device_kind']}"
    return f"{environment['cpu_count']} cores, {_processor()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
