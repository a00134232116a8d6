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
from fjdl.train.feed import evaluation
from fjdl.train.log import read_json, read_jsonl
from fjdl.train.mesh import make_mesh
from fjdl.train.program import Program
from fjdl.train.recipe import Recipe
from fjdl.train.rundir import RunDirectory
from fjdl.train.state import TrainState
from fjdl.tree import count, digest


def final_result(
    recipe: Recipe, run: RunDirectory, splits: Splits, program: Program, state: TrainState
) -> dict[str, Any]:
    """Results of the best epoch's `state` on the validation and test parts, with what it took to get there."""
    mesh = make_mesh()
    measured = {
        part: summary(jax.device_get(evaluation(recipe, program, source, mesh)(state)))
        for part, source in (("validation", splits.validation), ("test", splits.test))
    }
    environment = read_json(run.path / "env.json")
    return {
        "data": splits.name,
        "headline": headline(recipe),
        "seed": recipe.seed,
        "precision": recipe.precision,
        "parameters": count(state.params),
        "best_step": int(state.step),
        "best_epoch": int(state.step) // program.steps_per_epoch,
        "epochs": len(read_jsonl(run.metrics)),
        "examples": {"train": splits.train.length, "validation": splits.validation.length, "test": splits.test.length},
        **measured,
        "seconds": sum(record["seconds"] for record in read_jsonl(run.timing)),
        "hardware": hardware(environment),
        "command": (run.path / "command.txt").read_text().strip(),
        "commit": read_json(run.path / "git.json")["commit"],
        "state": digest(state),
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
