"""Search hyper-parameters: `python -m experiments.sweep CONFIG --out DIR --grid learning_rate=1e-3,1e-2 width=8,16`.

Trials that differ in numbers alone, such as learning rates and seeds, share one compiled program. Validation data
decide, and the test part is never looked at. The same command again goes on where the last one stopped.
"""

import dataclasses
import functools
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tyro

from experiments.command import Experiment, load_config, parse, run_guarded
from experiments.mistakes import users_mistakes
from experiments.sweeps.plan import Plan, Point, read_plan
from experiments.sweeps.records import Records, loss_of
from experiments.sweeps.result import document, draw, ranked, shown, spread, table, training_command
from experiments.sweeps.space import DRAWN, read_space
from fjdl.errors import UsageError
from fjdl.signals import StopRequest, grant, stop_requests


@dataclasses.dataclass(frozen=True)
class Options:
    """Train a config at many values of its arguments; `CONFIG --help` lists them, and they are fixed by their flags."""

    config: tyro.conf.Positional[Path]
    """The config file."""
    out: Path
    """The folder of the sweep; the same command again goes on there."""
    grid: tuple[str, ...] = ()
    """Try every combination of these values: learning_rate=1e-3,1e-2 optimizer=adam,sgd."""
    random: int | None = None
    """Draw so many points from the ranges below, in each round."""
    log_uniform: tuple[str, ...] = ()
    """Numbers whose logarithm is uniform: learning_rate=1e-4:1e-1."""
    uniform: tuple[str, ...] = ()
    """Numbers: dropout=0:0.5."""
    integers: tuple[str, ...] = ()
    """Whole numbers, both ends included: width=8:64."""
    choices: tuple[str, ...] = ()
    """One of some values: optimizer=adam,sgd."""
    coarse_to_fine: int = 1
    """Rounds of draws, each from half the range of the one before, around the best point so far."""
    halving: int | None = None
    """Give up bad trials early: train all of them a little, the best 1/N of them N times as long, and so on."""
    least: int = 1
    """Epochs that each trial gets at the least with --halving; more of them mean fewer rounds."""
    seeds: int = 1
    """Trainings of each point, from the config's seed on; their mean counts."""
    folds: int | None = None
    """Cross-validate: train on all but one of so many parts of the training and validation data, and measure there."""
    stratified: bool = True
    """Give all folds equal shares of each class; off for data without a label for each example."""
    in_memory: bool = False
    """Read data into memory that are streamed in other commands."""
    together: bool | None = None
    """Train the seeds of a point as one vectorized program; by default on accelerators."""
    devices: int | None = None
    """Train trials side by side on so many devices, one on each; by default on all of them."""
    plots: bool = True
    """Draw the scores by each argument, and all arguments side by side."""


def main() -> None:
    """Runs or resumes the sweep, and prints its table."""
    started = time.monotonic()
    options, experiment = parse(Options, sys.argv[1:])
    with users_mistakes():
        sweep = Sweep(options, experiment)
    grant()
    from fjdl.train.rundir import open_run

    command = ["python", "-m", "experiments.sweep", *sys.argv[1:]]
    with open_run(options.out, command=command, config=sweep.config) as run, stop_requests() as stop:
        for warning in run.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        records = Records(run.path / "trials.jsonl")
        run_sweep(sweep, records, stop)
        report(sweep, records, run.path)
    print(f"whole process {time.monotonic() - started:.1f} s")


class Sweep:
    """The command line, understood: what is varied, and how each trial is made."""

    def __init__(self, options: Options, experiment: Experiment) -> None:
        """Raises `UsageError` for options that do not go together, and for what the config does not have."""
        for name, least in (("seeds", 1), ("folds", 2), ("devices", 1)):
            if (value := getattr(options, name)) is not None and value < least:
                raise UsageError(f"--{name} must be at least {least}, got {value}")
        build = load_config(options.config)
        space = read_space(build, {flag: getattr(options, flag) for flag in ("grid", *DRAWN)})
        self.options, self.recipe, arguments = options, experiment.recipe, experiment.config["arguments"]
        self.plan: Plan = read_plan(space, dataclasses.asdict(options), seed=arguments.get("seed", 0))
        self.plan.rungs(1, self.recipe.epochs)  # refuses what does not fit the epochs
        self.fixed = {name: value for name, value in arguments.items() if name not in ("seed", *space.names)}
        first = arguments.get("seed", 0)
        self.seeds = tuple(range(first, first + options.seeds))
        self.build = functools.partial(build, **self.fixed)
        described = {"folds": options.folds, "stratified": options.stratified, **self.plan.described()}
        self.config = {
            **experiment.config,
            "arguments": {**self.fixed, "seed": list(self.seeds)},
            "sweep": described,
        }

    @property
    def names(self) -> list[str]:
        """The arguments that are varied."""
        return self.plan.space.names


def run_sweep(sweep: Sweep, records: Records, stop: StopRequest) -> None:
    """Trains what is not recorded yet, round by round and rung by rung."""
    from experiments.sweeps.trials import Job, ends_of, run_all
    from fjdl import search

    workers, start = workers_of(sweep, stop), time.monotonic()
    before: list[tuple[Point, float]] = []
    steps, trained = 0.0, 0
    for number in range(sweep.plan.rounds):
        points = sweep.plan.points(number, before)
        first, kept, losses = len(before), {}, [0.0] * len(points)
        ends = ends_of([point.values for point in points])
        alive = list(range(len(points)))
        for rung in sweep.plan.rungs(len(points), sweep.recipe.epochs):
            alive = [alive[place] for place in search.survivors([losses[each] for each in alive], count=rung.trials)]
            jobs = [Job(first + each, points[each].values, rung.budget, ends) for each in alive]
            todo = sorted((job for job in jobs if records.at(job.trial, job.until) is None), key=_program)
            for done in run_all(workers, todo, kept):
                steps, trained = steps + done.seconds, trained + 1
                records.add(_record(done, number))
                print(_line(sweep, done, first + len(points)), flush=True)
            for each in alive:
                losses[each] = loss_of(records.at(first + each, rung.budget) or {}, mode=sweep.recipe.mode)
        before += list(zip(points, losses, strict=True))
    if trained:
        seconds = time.monotonic() - start
        programs, compiling = (sum(getattr(each, name) for each in workers) for name in ("programs", "compiling"))
        print(
            f"{trained} trainings of trials: {steps:.1f} s of steps, {programs} programs compiled in {compiling:.1f} s"
        )
        print(f"sweep {seconds:.1f} s, {seconds / max(steps, 1e-9):.2f} of its steps")


def workers_of(sweep: Sweep, stop: StopRequest) -> list[Any]:
    """One for each device where a trial fits on one, else one for all of them."""
    import jax

    from experiments.sweeps.trials import Study, Worker, in_memory
    from fjdl.data.splits import folds

    def divide(splits: Any) -> Sequence[Any]:
        loaded = in_memory(splits) if sweep.options.in_memory else splits
        if sweep.options.folds is None:
            return [loaded]
        return folds(loaded, k=sweep.options.folds, seed=0, stratified=sweep.options.stratified)

    # On CPUs convolutions with a kernel for each seed take 4 times as long as in turn (LeNet-5, jaxlib 0.10.2).
    together = sweep.options.together
    together = jax.default_backend() != "cpu" if together is None else together
    study = Study(sweep.build, sweep.seeds, divide, together and sweep.recipe.order.kind is None, stop)
    if not sweep.recipe.layout.plain:
        return [Worker(study)]
    return [Worker(study, [device]) for device in jax.local_devices()[: sweep.options.devices]]


def report(sweep: Sweep, records: Records, folder: Path) -> None:
    """Prints the table and the command that trains the best point; writes sweep.json and the figures."""
    from fjdl.train.documents import write_sealed

    recipe, best_first = sweep.recipe, ranked(records.latest(), mode=sweep.recipe.mode)
    print(table(best_first, monitor=recipe.monitor, names=sweep.names))
    config = os.path.relpath(sweep.options.config)
    command = training_command(config, {**_given(sweep), **best_first[0]["point"]})
    found = document(best_first, config=sweep.config, monitor=recipe.monitor, mode=recipe.mode, command=command)
    write_sealed(folder / "sweep.json", found)
    if sweep.options.plots:
        title = f"{sweep.options.config.stem}, {len(best_first)} trials"
        for path in draw(folder / "plots", best_first, monitor=recipe.monitor, mode=recipe.mode, title=title):
            print(path)
    print(f"{folder / 'sweep.json'}; the best point trains by\n  {command}")


def _given(sweep: Sweep) -> dict[str, Any]:
    """The arguments that the command line fixes at other values than the config's."""
    import inspect

    defaults = inspect.signature(load_config(sweep.options.config)).parameters
    return {name: value for name, value in sweep.fixed.items() if value != defaults[name].default}


def _program(job: Any) -> str:
    """What trials that share a program have in common."""
    return repr(sorted((name, value) for name, value in job.point.items() if not isinstance(value, float)))


def _record(done: Any, number: int) -> dict[str, Any]:
    found = {"trial": done.job.trial, "round": number, "epochs": done.job.until, "point": dict(done.job.point)}
    kept = {"scores": done.scores, "curves": done.curves, "seconds": done.seconds}
    return {**found, **kept, **({"error": done.error} if done.error else {})}


def _line(sweep: Sweep, done: Any, trials: int) -> str:
    values = ", ".join(f"{name} {shown(value)}" for name, value in done.job.point.items())
    score = f"refused: {done.error}" if done.error else f"validation {sweep.recipe.monitor} {spread(done.scores)}"
    return f"trial {done.job.trial + 1} of {trials}: {values}: {score}, {done.job.until} epochs, {done.seconds:.1f} s"


if __name__ == "__main__":
    run_guarded(main)
