"""The final numbers of a run, on test data that nothing else has seen."""

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fjdl import metrics
from fjdl.data.source import Splits
from fjdl.train.documents import CODE, ENVIRONMENT, read_object, read_text
from fjdl.train.feed import evaluation
from fjdl.train.mesh import make_mesh
from fjdl.train.program import Program
from fjdl.train.recipe import Recipe
from fjdl.train.records import read_metrics, read_timing, require_state
from fjdl.train.rundir import RunDirectory
from fjdl.train.state import TrainState
from fjdl.tree import count, digest


def final_result(
    recipe: Recipe, run: RunDirectory, splits: Splits, program: Program, state: TrainState, *, steps: int
) -> dict[str, Any]:
    """Results of the best epoch's `state` on the validation and test parts, with what it took to get there.

    `steps` is how many the run took. Raises `StorageError` where its records have gaps, and `CheckpointError` where
    they have another state than this at its step.
    """
    mesh, per_epoch, identity = make_mesh(), program.steps_per_epoch, digest(state)
    records = read_metrics(run.metrics, steps_per_epoch=per_epoch, until=steps)
    times = read_timing(run.timing, steps_per_epoch=per_epoch, until=steps)
    require_state(records, int(state.step), identity, where=run.checkpoints / str(int(state.step)))
    measured = {
        part: summary(jax.device_get(evaluation(recipe, program, source, mesh, part=part)(state)))
        for part, source in (("validation", splits.validation), ("test", splits.test))
    }
    environment = read_object(run.path / "env.json", ENVIRONMENT)
    return {
        "data": splits.name,
        "headline": headline(recipe),
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
        "command": read_text(run.path / "command.txt").strip(),
        "commit": read_object(run.path / "git.json", CODE)["commit"],
        "state": identity,
    }


def headline(recipe: Recipe) -> str:
    """The metric that a table of results shows."""
    return "accuracy" if "accuracy" in recipe.metrics else recipe.monitor


def summary(results: Mapping[str, Any]) -> dict[str, Any]:
    """Results as plain numbers; a confusion matrix adds the accuracy's 95 % Wilson interval and the macro F1."""
    numbers: dict[str, Any] = {name: np.asarray(value).tolist() for name, value in results.items()}
    if "confusion" not in results:
        return numbers
    matrix = jnp.asarray(results["confusion"])
    interval = metrics.wilson_interval(jnp.trace(matrix), matrix.sum())
    return {
        **numbers,
        "count": int(matrix.sum()),
        "accuracy_interval": [float(bound) for bound in interval],
        "macro_f1": float(metrics.macro(metrics.f1, matrix)),
    }


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
