"""Classical classifiers beside scikit-learn's: `python -m experiments.pages.classical --write docs/classical.md`."""

import dataclasses
import statistics
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import tyro

from experiments.command import run_guarded
from experiments.pages.markdown import replace_table


@dataclasses.dataclass(frozen=True)
class Options:
    """Test accuracy on iris, wine and breast cancer over several splits, fjdl and scikit-learn on the same ones."""

    splits: int = 10
    """Stratified splits, 65 % to train on and 20 % to test on; the rest is for models that choose by validation."""
    write: Path | None = None
    """A Markdown file in which the generated part is replaced."""


def main() -> None:
    """Fits every strategy on every table and prints the comparison."""
    options = tyro.cli(Options, args=sys.argv[1:])
    table = "\n".join([*HEAD, *rows(options.splits)])
    print(table)
    if options.write is not None:
        replace_table(options.write, f"{provenance(options)}\n\n{table}")


HEAD = (
    "| data | strategy | fjdl | scikit-learn | predictions that differ |",
    "|---|---|---|---|---:|",
)


def rows(splits: int) -> Iterator[str]:
    """One row per table and strategy."""
    from fjdl.data.embedded import breast_cancer, iris, wine

    for load in (iris, wine, breast_cancer):
        for name, compare in strategies().items():
            ours, theirs, differing, total = [], [], 0, 0
            for seed in range(splits):
                train, test, classes = parts(load, seed)
                found, expected = compare(*train, test[0], classes)
                ours.append(100 * float((found == test[1]).mean()))
                theirs.append(100 * float((expected == test[1]).mean()))
                differing, total = differing + int((found != expected).sum()), total + len(expected)
            yield f"| {load.__name__} | {name} | {spread(ours)} | {spread(theirs)} | {differing} of {total} |"


def parts(load: Callable[..., Any], seed: int) -> tuple[Any, Any, int]:
    """Standardized features and labels to train and to test on, and the number of classes."""
    from fjdl.data.embedded import standardize
    from fjdl.data.source import to_arrays

    splits = standardize(load(split_seed=seed))
    train, test = ((arrays["features"], arrays["label"]) for arrays in map(to_arrays, (splits.train, splits.test)))
    return train, test, len(splits.classes)


def strategies() -> dict[str, Callable[..., tuple[Any, Any]]]:
    """For each strategy the predictions of both libraries."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier

    from fjdl import classical

    binary = partial(classical.fit_binary, l2=1.0)
    oracle = LogisticRegression(C=1.0, max_iter=1000)

    def predictions(fit: Callable[..., Any], decide: Callable[..., Any], theirs: Any) -> Callable[..., Any]:
        def compare(x: Any, y: Any, new: Any, classes: int) -> tuple[Any, Any]:
            found = decide(classical.decision(fit(x, y, classes=classes), new), classes)
            return found, theirs.fit(x, y).predict(new)

        return compare

    return {
        "softmax": predictions(classical.fit_softmax, _largest, oracle),
        "one against the rest": predictions(
            partial(classical.one_vs_rest, fit=binary), _largest, OneVsRestClassifier(oracle)
        ),
        "one against one, majority vote": predictions(
            partial(classical.one_vs_one, fit=binary),
            lambda outputs, classes: classical.vote(outputs, classes=classes),
            OneVsOneClassifier(oracle),
        ),
    }


def _largest(outputs: Any, classes: int) -> Any:
    del classes
    return outputs.argmax(axis=-1)


def spread(percent: list[float]) -> str:
    """Mean and sample standard deviation."""
    deviation = statistics.stdev(percent) if len(percent) > 1 else 0.0
    return f"{statistics.fmean(percent):.2f} ± {deviation:.2f} %"


def provenance(options: Options) -> str:
    """What was measured, how, and where."""
    from importlib.metadata import version

    from fjdl.train.result import hardware
    from fjdl.train.rundir import environment

    packages = ", ".join(f"{name} {version(name)}" for name in ("jax", "scikit-learn"))
    return (
        f"`python -m experiments.pages.classical --splits {options.splits}`: test accuracy, mean ± sample standard "
        f"deviation over {options.splits} splits,\nlogistic regressions with l2 = 1 on standardized features; "
        f"{hardware(environment())}, {packages}."
    )


if __name__ == "__main__":
    run_guarded(main)
