"""Evaluate a run's best epoch on one part of its data: `python -m experiments.evaluate runs/digits --part test`."""

import dataclasses
import sys
from pathlib import Path
from typing import Any, Literal

import tyro

from experiments.command import open_experiment, run_guarded
from experiments.mistakes import users_mistakes
from fjdl.signals import grant


@dataclasses.dataclass(frozen=True)
class Options:
    """Evaluate the best epoch of a run."""

    run: tyro.conf.Positional[Path]
    """The run directory."""
    part: Literal["train", "validation", "test"] = "test"
    """Which part of the data."""


def main() -> None:
    """Prints every result, and scores per class beside the confusion matrix of a task that has one."""
    options = tyro.cli(Options, args=sys.argv[1:])
    run = load_run(options.run)
    from fjdl.train.result import measure
    from fjdl.train.summary import intervals, summarized

    source, told = getattr(run.splits, options.part), run.recipe.told
    results = measure(run.program.evaluator, run.state, source, part=options.part)
    numbers = summarized(told, results)
    print(f"{options.run}, {options.part} part, {source.length} examples, step {int(run.state.step)}")
    for name, value in numbers.items():
        if isinstance(value, float):
            print(f"  {name:10} {value:.4f}")
    for name, (low, high) in intervals(numbers).items():
        print(f"  {name}'s 95 % interval: {low:.4f} to {high:.4f}")
    if run.recipe.generation is not None and run.recipe.generation.references is not None:
        print(bleu_line(run, options.part))
    if told.confusion in results:
        print(class_table(results[told.confusion], run.splits.classes))


@dataclasses.dataclass(frozen=True)
class LoadedRun:
    """A run's recipe, data, compiled program and best state."""

    recipe: Any
    splits: Any
    program: Any
    state: Any


def load_run(path: Path) -> LoadedRun:
    """The best epoch of a run directory, ready to evaluate: the one that result.json records, where there is one.

    Nothing in the directory changes.
    """
    recipe = open_experiment(path).recipe
    import jax

    from fjdl.train.data_files import require_files
    from fjdl.train.prepare import prepare
    from fjdl.train.resume import read_best
    from fjdl.train.rundir import RunDirectory

    _, splits, _, program = prepare(recipe)
    grant()
    require_files(RunDirectory(path=path), splits)
    state = read_best(RunDirectory(path=path), jax.eval_shape(program.init), program.steps_per_epoch)
    return LoadedRun(recipe, splits, program, state)


def bleu_line(run: LoadedRun, part: str) -> str:
    """BLEU of the answers to all examples of a part, with its interval over sentences and the settings of both."""
    import jax

    from fjdl import metrics
    from fjdl.train.state import evaluated_params
    from fjdl.train.writing import answered

    recipe, generation = run.recipe, run.recipe.generation
    answers = answered(
        generation,
        evaluated_params(run.state),
        run.state.stats,
        getattr(run.splits, part),
        batch_size=recipe.batch_size,
        precision=recipe.precision,
    )
    references = [list(generation.references(part))]
    with users_mistakes():
        score = metrics.corpus_bleu(answers, references)
    low, high = metrics.bleu_interval(jax.random.key(0), answers, references)
    search = f"beams:{generation.beams}|alpha:{generation.alpha:g}" if generation.beams else "greedy"
    return (
        f"  {'BLEU':10} {score.score:.2f}, 95 % interval over sentences {low:.2f} to {high:.2f}, "
        f"{score.signature}|{search}|length:{generation.length}"
    )


def class_table(matrix: Any, classes: tuple[str, ...]) -> str:
    """Precision, recall and F1 of each class beside its row of the confusion matrix (rows = true)."""
    from fjdl import metrics

    width = max(len(name) for name in classes)
    counts = max(5, len(str(int(matrix.max()))) + 1)
    header = f"  {'true':{width}}  precision  recall      F1  predicted as " + "".join(
        f"{name[: counts - 1]:>{counts}}" for name in classes
    )
    scores = [score(matrix) for score in (metrics.precision, metrics.recall, metrics.f1)]
    rows = [
        f"  {name:{width}}  {scores[0][k]:9.4f}  {scores[1][k]:6.4f}  {scores[2][k]:6.4f}               "
        + "".join(f"{int(n):>{counts}}" for n in matrix[k])
        for k, name in enumerate(classes)
    ]
    return "\n".join([header, *rows])


if __name__ == "__main__":
    run_guarded(main)
