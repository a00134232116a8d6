"""Train a config: `python -m experiments.train configs/digits_lenet.py --run-dir runs/digits`.

The same command again resumes an interrupted run bit for bit, and leaves a finished one alone.
"""

import contextlib
import dataclasses
import functools
import os
import signal
import sys
from collections.abc import Iterator
from importlib.util import decode_source
from pathlib import Path
from typing import Any

import tyro

from experiments import mirror, notice
from experiments.command import Experiment, as_recorded, config_among, parse, run_guarded, skipping_bad
from experiments.mistakes import users_mistakes
from fjdl import peers
from fjdl.errors import Stopped
from fjdl.signals import StopRequest, grant


@dataclasses.dataclass(frozen=True)
class Options:
    """Train a config; `CONFIG --help` also lists its hyper-parameters."""

    config: tyro.conf.Positional[Path]
    """The config file."""
    run_dir: Path | None = None
    """Where everything of this run goes; runs/<name of the config> by default."""
    bucket: str | None = None
    """A folder of a bucket that keeps a copy of the run, such as gs://my-runs/digits; it comes back from there."""
    dry_run: bool = False
    """Print shapes, parameters, MACs and memory, take one step, write nothing."""
    skip_bad: bool = False
    """Train without the examples that cannot be read or break a rule; data/left_out.txt of the run names each."""
    debug_nans: bool = False
    """Where training stops since it is not finite, name the first operation and parameter; slow, and only then."""
    tensorboard: bool = False
    """Also write the numbers of each epoch as TensorBoard's events into the run's tensorboard/; needs that extra."""
    profile: str | None = None
    """Trace these steps for xprof, as START:STOP such as 10:15; over data on the devices, the epochs that hold them."""


def main() -> None:
    """Parses the command line and trains."""
    notice.watch()
    together()
    _announce(sys.argv[1:])
    options, experiment = parse(Options, sys.argv[1:])
    if options.skip_bad:
        experiment = skipping_bad(experiment)
    if options.dry_run:
        from experiments.dry_run import dry_run

        with users_mistakes():
            dry_run(experiment.recipe)
        return
    run_dir = options.run_dir or Path("runs") / options.config.stem
    mirror.require_local(run_dir)
    line = peers.current()
    if options.tensorboard:
        experiment = experiment._replace(recipe=_told_to_tensorboard(experiment.recipe, run_dir))
    with mirror.mirrored(run_dir, options.bucket if line is None or line.first else None):
        train(experiment, run_dir, profile=options.profile, debug_nans=options.debug_nans)


def _told_to_tensorboard(recipe: Any, run_dir: Path) -> Any:
    from fjdl.train.hooks import tensorboard

    return dataclasses.replace(recipe, hooks=(*recipe.hooks, tensorboard(run_dir / "tensorboard")))


def _text_of(config: Path) -> str | None:
    """The text of the config for its run to keep; None for an experiment that comes from no file."""
    return decode_source(config.read_bytes()) if config.is_file() else None


def _announce(arguments: list[str]) -> None:
    """Says at once what begins: importing JAX and reading the data take seconds."""
    config, line = config_among(arguments), peers.current()
    quiet = {"--help", "-h", "--dry-run"} & {*arguments}
    if config is not None and config.is_file() and not quiet and (line is None or line.first):
        print(f"training {config} ...", flush=True)


def together() -> None:
    """Joins the other processes of this training where there are some; nothing has touched a device before."""
    seat = peers.seat_of(os.environ)
    if {"--help", "-h"} & {*sys.argv} or (seat is None and not peers.on_tpu()):
        return
    from fjdl.train.processes import join, join_found

    if seat is None:
        join_found()
    else:
        join(seat)


def train(
    experiment: Experiment, run_dir: Path, *, profile: str | None = None, debug_nans: bool = False
) -> dict[str, Any]:
    """Trains in `run_dir`, evaluates the best epoch on the test part once, and writes result.json."""
    from fjdl.train.beginning import check_weights
    from fjdl.train.header import header, lines
    from fjdl.train.loop import fit_prepared
    from fjdl.train.prepare import check, prepare
    from fjdl.train.processes import all_there, is_first, require_alike, require_same_data, told
    from fjdl.train.profiling import parse_steps
    from fjdl.train.progress import silent
    from fjdl.train.result import final_result
    from fjdl.train.resume import restore_best
    from fjdl.train.rundir import RunDirectory, finished, open_run, require_config, write_result

    config = as_recorded(experiment.config, run_dir)
    several = peers.current() is not None
    if (
        not several
        and run_dir.is_dir()
        and not os.access(run_dir, os.W_OK)
        and (result := finished(RunDirectory(path=run_dir)))
    ):
        require_config(run_dir, config)
        return _nothing_to_do(result, run_dir)

    @functools.cache
    def prepared() -> Any:
        made = prepare(experiment.recipe)
        steps = made.program.steps_per_epoch * made.recipe.epochs
        profiled = None if profile is None else parse_steps(profile, steps=steps)
        check(made)
        return made, profiled

    require_alike(config=experiment.config)
    if several or not (run_dir / "result.json").exists():
        with users_mistakes():
            made, _ = prepared()
            check_weights(made, RunDirectory(path=run_dir))
        require_same_data(made.splits)
    grant()
    command = ["python", "-m", "experiments.train", *sys.argv[1:]]
    opened = (
        open_run(run_dir, command=command, config=config, text=_text_of(Path(config["config"])))
        if is_first()
        else contextlib.nullcontext(RunDirectory(path=run_dir))
    )
    with _saying_what_stays(run_dir), opened as run:
        if result := told(lambda: finished(run)):
            return _nothing_to_do(result, run_dir)
        for warning in run.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        (made, profiled), say = prepared(), functools.partial(print, flush=True) if is_first() else silent
        say(lines([*header(made), ("run", str(run_dir))]))
        with _explained(made, run, wanted=debug_nans and not several):
            state = fit_prepared(made, run, profiled=profiled, say=say)
        result = final_result(made, run, restore_best(run, state), steps=int(state.step))
        if is_first():
            write_result(run, result)
            print(f"{describe(result)}\n{_what_next(run_dir)}")
        all_there()
    return result


@contextlib.contextmanager
def _explained(prepared: Any, run: Any, *, wanted: bool) -> Iterator[None]:
    """A training that stops since it is not finite first says which operation was, where that is wanted."""
    from fjdl.errors import DivergedError

    try:
        yield
    except DivergedError:
        if wanted:
            from experiments.diagnoses.steps import last_refused, told
            from fjdl.train.replay import replay

            print("\n".join(told(run.path, replay(prepared, run, last_refused(run.path)))), file=sys.stderr)
        raise


def describe(result: dict[str, Any]) -> str:
    """The result in a line or two."""
    from fjdl.train.summary import COUNT, intervals

    test = result["test"]
    text = f"best epoch {result['best_epoch']} of {result['epochs']}, {result['seconds']:.1f} s"
    text += f", state {result['state'][:16]}"
    numbers = "  ".join(f"{name} {value:.4f}" for name, value in test.items() if isinstance(value, float))
    for name, (low, high) in intervals(test).items():
        numbers += f"  {name}'s 95 % interval {low:.4f} to {high:.4f} (n = {test.get(name + COUNT, test['count'])})"
    return f"{text}\ntest: {numbers}"


def _what_next(run_dir: Path) -> str:
    rest = ", ".join(("evaluate", "predict", "report", "diagnose", "quantize", "export"))
    return f"next: python -m experiments.plot {run_dir}; likewise {rest}"


def _nothing_to_do(result: dict[str, Any], run_dir: Path) -> dict[str, Any]:
    print(f"{run_dir} is finished, nothing to do; remove it or choose another --run-dir to train again")
    return result


@contextlib.contextmanager
def _saying_what_stays(run_dir: Path) -> Iterator[None]:
    """An interrupt between epochs is granted by the loop; any other one ends here, and what it leaves is said."""
    try:
        yield
    except KeyboardInterrupt:
        from fjdl.train import checkpoint

        request = signal.getsignal(signal.SIGINT)
        number = (isinstance(request, StopRequest) and request.number) or signal.SIGINT
        if checkpoint.steps(run_dir / "checkpoints"):
            raise Stopped(number, "the last checkpoint is intact, the same command resumes") from None
        raise Stopped(number, "no checkpoint had been saved yet, the same command starts anew") from None


if __name__ == "__main__":
    run_guarded(main)
