"""Optimizers on one network: `python -m experiments.pages.optimizers --write docs/results.md --out curves.png`.

For each optimizer a range test suggests a learning rate, short trials around it choose one by validation accuracy, and
several seeds are trained with it along a cosine to zero; the test part is looked at once, at the end of each of these.
The same command again takes up an interrupted comparison.
"""

import dataclasses
import functools
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tyro

from experiments.command import as_recorded, describe, enable_compilation_cache, load_config, run_guarded
from experiments.mistakes import users_mistakes
from experiments.pages.markdown import replace_table, require_markers
from experiments.report import spread
from experiments.tuning import Bench, Effort, Factory, compare, finished_runs, prepare
from fjdl.errors import UsageError

SECTION = "optimizers"


@dataclasses.dataclass(frozen=True)
class Options:
    """Tune every optimizer of the library on validation data, and compare them on test data."""

    config: Path = Path("configs/fashion_mnist_lenet.py")
    """The config file whose data, model and batch size are used."""
    run_dir: Path = Path("runs/optimizers")
    """Where the numbers of finished trials and runs are kept."""
    write: Path | None = None
    """A Markdown file in which the table between the two marker lines of its section is replaced."""
    out: Path | None = None
    """The PNG file of the learning curves to write."""
    seeds: int = 3
    """Runs of each optimizer, with the seeds 0, 1 and so on."""
    epochs: int = 10
    """Epochs of each of them."""
    trial_epochs: int = 2
    """Epochs of each trial of a learning rate."""
    range_steps: int = 200
    """Training steps of the range test."""
    only: tuple[str, ...] = ()
    """The optimizers to compare, all by default."""


def main() -> None:
    """Compares, then prints, writes and draws what was found."""
    options = tyro.cli(Options, args=sys.argv[1:])
    build = load_config(options.config)
    enable_compilation_cache()
    chosen = _chosen(options)
    _check_files(options)
    effort = Effort(options.seeds, options.epochs, options.trial_epochs, options.range_steps)
    asked = describe(options.config, {name: value for name, value in effort._asdict().items() if name != "seeds"})
    from fjdl.train.documents import ENVIRONMENT, read_sealed
    from fjdl.train.rundir import open_run

    command = ["python", "-m", "experiments.pages.optimizers", *sys.argv[1:]]
    with open_run(options.run_dir, command=command, config=as_recorded(asked, options.run_dir)) as run:
        for warning in run.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        with users_mistakes():
            recipe = build(seed=0, epochs=options.epochs)
        bench = prepare(recipe, run.metrics, effort)
        for name, factory in chosen.items():
            compare(bench, name, factory)
        environment = read_sealed(run.path / "env.json", ENVIRONMENT)
    publish(options, bench, {name: finished_runs(bench, name) for name in chosen}, environment)


def optimizers() -> dict[str, Factory]:
    """Each as a function of its learning rate; where the name says nothing else, with the defaults of the library."""
    from fjdl import optim

    kernels = {"decay_rules": optim.KERNELS, "trust_rules": optim.KERNELS}  # biases neither decay nor are rescaled
    return {
        "sgd": optim.sgd,
        "momentum": optim.momentum,
        "nesterov": optim.nesterov,
        "adagrad": optim.adagrad,
        "adadelta": optim.adadelta,
        "rmsprop": optim.rmsprop,
        "centred_rmsprop": optim.centred_rmsprop,
        "adam": optim.adam,
        "adamw, decay 0.01": functools.partial(optim.adamw, weight_decay=0.01, decay_rules=optim.KERNELS),
        "amsgrad": optim.amsgrad,
        "adabelief": optim.adabelief,
        "yogi": optim.yogi,
        "adan": optim.adan,
        "adamax": optim.adamax,
        "nadam": optim.nadam,
        "nadamw, decay 0.01": functools.partial(optim.nadamw, weight_decay=0.01, decay_rules=optim.KERNELS),
        "nadam_scheduled": optim.nadam_scheduled,
        "radam": optim.radam,
        "lion": optim.lion,
        "adafactor": optim.adafactor,
        "lars": functools.partial(optim.lars, **kernels),
        "lamb": functools.partial(optim.lamb, **kernels),
        "muon": optim.muon,
        "lookahead, adam": lambda rate: optim.lookahead(optim.adam(rate)),
    }


def publish(
    options: Options, bench: Bench, runs: Mapping[str, list[dict[str, Any]]], environment: Mapping[str, Any]
) -> None:
    """Prints the table, and writes it and draws the learning curves where asked."""
    from fjdl.train.result import hardware

    caption = (
        f"`{options.config}`. Epochs of a run: {options.epochs}, in which the rate falls to 0 along a cosine; seeds: "
        f"{options.seeds}. The rate is that of the highest validation accuracy in trials, epochs of a trial: "
        f"{options.trial_epochs}; a third of it where the whole run from seed 0 ends below its trial. "
        f"{hardware(environment)}."
    )
    table = "\n".join([*rows(runs), "", caption])
    print(table)
    if options.write is not None:
        replace_table(options.write, table, section=SECTION)
    if options.out is not None:
        draw(runs, bench.recipe.splits().name, options.out)
        print(options.out)


def draw(runs: Mapping[str, list[dict[str, Any]]], data: str, path: Path) -> None:
    """Writes the figure of validation accuracy by epoch."""
    import jax.numpy as jnp

    from fjdl.plots.files import save
    from fjdl.plots.pages.convergence import convergence_figure

    curves = {name: 100 * jnp.array([run["validation"]["accuracy"] for run in group]) for name, group in runs.items()}
    title = f"Optimizers on {data}: mean and standard deviation over seeds"
    save(convergence_figure(curves, title=title, quantity="validation accuracy (%)"), path)


def rows(runs: Mapping[str, list[dict[str, Any]]]) -> list[str]:
    """Markdown lines, the highest mean test accuracy first."""
    header = "| optimizer | learning rate | test accuracy | test loss (nats) | validation after epoch 1 |"
    ranked = sorted(runs.items(), key=lambda item: -statistics.fmean(run["test"]["accuracy"] for run in item[1]))
    return [header, "|" + "---|" * 5, *(_row(name, group) for name, group in ranked)]


def _row(name: str, group: list[dict[str, Any]]) -> str:
    cells = [
        name,
        f"{group[0]['rate']:.2g}",
        spread([run["test"]["accuracy"] for run in group], scale=100) + " %",
        spread([run["test"]["loss"] for run in group], digits=4),
        spread([run["validation"]["accuracy"][0] for run in group], scale=100) + " %",
    ]
    return "| " + " | ".join(cells) + " |"


def _chosen(options: Options) -> dict[str, Factory]:
    """The optimizers to compare, and checks of the numbers."""
    for name, least in (("seeds", 1), ("epochs", 1), ("trial_epochs", 1), ("range_steps", 2)):
        if getattr(options, name) < least:
            raise UsageError(f"{name.replace('_', '-')} must be at least {least}, got {getattr(options, name)}")
    known = optimizers()
    unknown = [name for name in options.only if name not in known]
    if unknown:
        raise UsageError(f"only must name optimizers among {'; '.join(known)}, got {unknown[0]}")
    return {name: factory for name, factory in known.items() if not options.only or name in options.only}


def _check_files(options: Options) -> None:
    """Refuses before hours of work what would be refused after them."""
    if options.out is not None and options.out.suffix.lower() != ".png":
        raise UsageError(f"out must end in .png, got {options.out}")
    if options.write is not None:
        require_markers(options.write, section=SECTION)


if __name__ == "__main__":
    run_guarded(main)
