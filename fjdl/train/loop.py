"""The loop over epochs, the only one in the package."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax

from fjdl.errors import DivergedError, Stopped, StorageError
from fjdl.signals import stop_requests
from fjdl.train import checkpoint
from fjdl.train.beginning import first_state
from fjdl.train.data_files import keep_files
from fjdl.train.description import keep_description
from fjdl.train.diverged import keep_diverged
from fjdl.train.feed import epochs
from fjdl.train.json_files import append_jsonl
from fjdl.train.pace import Pace
from fjdl.train.prepare import Prepared, check, prepare
from fjdl.train.processes import all_there, first_said, is_first, on_host
from fjdl.train.profiling import Profile, Steps
from fjdl.train.program import EpochReport, Program
from fjdl.train.progress import Dropped, Progress, Say, silent
from fjdl.train.recipe import Recipe
from fjdl.train.refused import Refused, last_refused
from fjdl.train.resume import Paused, discard_paused, save_paused
from fjdl.train.rundir import RunDirectory, locked
from fjdl.train.state import TrainState, evaluated_params
from fjdl.train.training_sample import measured_sample
from fjdl.train.watch import Timing, Watch, work_of
from fjdl.tree import digest
from fjdl.typing import Array, PyTree


def fit(recipe: Recipe, run_dir: Path | str | RunDirectory, *, devices: list[Any] | None = None) -> TrainState:
    """Trains the recipe in a folder, which is made where there is none, on the local devices or on those given.

    The state after the last epoch; that of the best is `restore_best(RunDirectory(path=...), state)`. A folder that
    holds a run is taken up where its newest verified checkpoint left it. While it trains in a folder given by its path,
    no other may: raises `StorageError`. A `RunDirectory` comes from `open_run`, which also writes down what runs.

    The state is saved after an epoch, and its record is written before: whatever is lost in a crash is computed again,
    bit for bit. A request to stop saves it inside the epoch, within seconds. Raises `DataError` for data that break a
    rule, before training where they are in memory, `DivergedError` where too many steps in a row are not finite, and
    `Stopped` after such a request.
    """
    prepared = prepare(recipe, devices=devices)
    check(prepared)
    if isinstance(run_dir, RunDirectory):
        return fit_prepared(prepared, run_dir)
    with locked(run_dir) as run:
        return fit_prepared(prepared, run)


def fit_prepared(
    prepared: Prepared, run: RunDirectory, *, profiled: Steps | None = None, say: Say = silent
) -> TrainState:
    """`fit` of what was prepared and checked, so that nothing is loaded, built or traced twice.

    The steps that are `profiled` leave a trace in the run's folder "profile", see `Profile`; `say` gets lines about
    compilation and the trace.
    """
    recipe, splits, mesh, program = prepared  # 1 what will run, and where; nothing compiles twice
    if is_first():
        keep_files(run, splits)
        keep_description(run, splits, steps_per_epoch=program.steps_per_epoch)
    state, tally = first_state(prepared, run)  # 2 a new state, or the newest saved one
    position, steps = _read(_position(state)), program.steps_per_epoch * recipe.epochs
    progress = Progress(steps, initial=position.step, stream=None if is_first() else Dropped())
    watch, profile = Watch(work_of(prepared), mesh, progress, say=say), Profile(profiled, run.profile, say=say)
    epoch = epochs(recipe, program, splits.train, mesh, observers=(watch, profile))  # 3 what we learn from,
    evaluate = program.evaluator.on(splits.validation, part="validation")  # and what we measure on,
    evaluate_sample = measured_sample(recipe, splits, program.evaluator)  # beside some of what we learn from

    with jax.transfer_guard("disallow"), stop_requests() as stop, progress, profile, watch:
        pace = Pace(stop)
        while not _ended(position, recipe, steps):
            watch.begin()
            state, tally, done, report = epoch(state, tally, position.step, pace)  # 4 nothing is read here
            if report is None:
                raise _paused(run, Paused(state, tally), done, pace)
            results = evaluate(evaluated_params(state), state.stats)  # 5 measure the parameters that will be saved
            sampled = evaluate_sample(evaluated_params(state), state.stats)
            state = program.remember(state, results[recipe.monitor])
            watch.trained(report)
            results, sampled, report, here = jax.device_get((results, sampled, report, _position(state)))  # 6 one read
            position = _read(here)
            refused = last_refused(report, recipe, splits.train.length)
            _check_finite(report, recipe, run, refused, state)  # 7 a diverged state is no checkpoint
            due = _due(position, recipe, program, steps)
            timing = watch.timing()
            training = {**_training(report, recipe, refused), **_scalars("train_sample", sampled)}
            kept = on_host(state) if due else None
            record: dict[str, Any] = {}
            if is_first():
                record = _record(run, position, program, results, training, kept, timing)  # 8 before the save
            number = first_said(stop.number)  # of a signal that any process received
            if due or number is not None:
                _save(run, position, on_host(state) if kept is None else kept)
            if is_first():
                _call(recipe, record)  # 9 what its author wants to know, once all is on the disk
            if number is not None:
                all_there()
                raise Stopped(number)
            progress.update(position.step, _text(results, report, recipe, refused, timing))
    if position.step < steps:
        say(_stopped_early(position, recipe, program))
    return state


class _Position(NamedTuple):
    """Where a run is, as numbers on the host."""

    step: int  # training steps done
    best: int  # those done when the best epoch ended, -1 before any
    wait: int  # evaluations since


def _save(run: RunDirectory, position: _Position, state: TrainState) -> None:
    if is_first():
        checkpoint.save(run.checkpoints, position.step, state, protect=[position.best])
        discard_paused(run)


def _paused(run: RunDirectory, state: Paused, step: int, pace: Pace) -> Stopped:
    """Saves a state inside of an epoch, and gives the error that says so."""
    assert pace.number is not None
    kept = on_host(state)
    if is_first():
        save_paused(run, kept, step)
    all_there()
    return Stopped(pace.number)


def _position(state: TrainState) -> tuple[Array, Array, Array]:
    return state.step, state.best.step, state.best.wait


def _read(arrays: tuple[Array, Array, Array]) -> _Position:
    return _Position(*(int(number) for number in jax.device_get(arrays)))


def _ended(position: _Position, recipe: Recipe, steps: int) -> bool:
    return position.step >= steps or (recipe.patience is not None and position.wait >= recipe.patience)


def _stopped_early(position: _Position, recipe: Recipe, program: Program) -> str:
    last, best = position.step // program.steps_per_epoch, position.best // program.steps_per_epoch
    return f"stopped early at epoch {last:,} of {recipe.epochs:,}: no epoch after {best:,} was better"


def _due(position: _Position, recipe: Recipe, program: Program, steps: int) -> bool:
    """Whether this epoch's state is to be kept: the last, a new best, or one of every `save_every`."""
    new_best = position.best == position.step
    regular = position.step // program.steps_per_epoch % recipe.save_every == 0
    return new_best or regular or _ended(position, recipe, steps)


def _check_finite(
    report: EpochReport, recipe: Recipe, run: RunDirectory, refused: Refused | None, state: TrainState
) -> None:
    if report.worst_streak < recipe.max_bad_steps or refused is None:
        return
    whole, kept = on_host(state), ""
    if is_first():
        kept = _kept(run, whole, refused, int(report.worst_streak))
    saved = "the last checkpoint is intact, " if checkpoint.steps(run.checkpoints) else ""
    raise DivergedError(
        f"{int(report.worst_streak)} steps in a row were refused, most recently {refused}; "
        f"{kept}{saved}try a smaller learning rate"
    )


def _kept(run: RunDirectory, state: TrainState, refused: Refused, streak: int) -> str:
    """Keeps the step in the run, and says so; what cannot be written changes nothing else."""
    try:
        keep_diverged(run, state, refused, streak)
    except StorageError as error:
        return f"{error}, "
    return (
        f"the step is kept in {run.diverged}, and python -m experiments.diagnose {run.path} --debug-nans names the "
        "first operation that was not finite; "
    )


def _training(report: EpochReport, recipe: Recipe, refused: Refused | None) -> dict[str, Any]:
    """What an epoch's record says of its training steps."""
    unused = (name for name, used in (("penalty", recipe.penalty), ("loss_scale", recipe.scaled)) if not used)
    left_out = {"worst_streak", "last_bad_cause", *unused}
    told = {f"train_{name}": value.item() for name, value in report._asdict().items() if name not in left_out}
    if refused is None:
        return told
    return {**told, "train_last_bad_cause": refused.cause, "train_last_bad_examples": refused.examples}


def _scalars(of: str, results: Mapping[str, Any]) -> dict[str, float]:
    return {f"{of}_{name}": float(value) for name, value in results.items() if value.ndim == 0}


def _record(
    run: RunDirectory,
    position: _Position,
    program: Program,
    results: PyTree,
    training: Mapping[str, Any],
    saved: TrainState | None,
    timing: Timing,
) -> dict[str, Any]:
    """Both lines that are written: what the seed decides, with the digest of a state that is saved, and the time."""
    where = {"step": position.step, "epoch": position.step // program.steps_per_epoch}
    state = {} if saved is None else {"state": digest(saved)}
    told, took = {**where, **training, **_scalars("validation", results), **state}, {**where, **timing._asdict()}
    append_jsonl(run.metrics, told)
    append_jsonl(run.timing, took)
    return {**told, **took}


def _call(recipe: Recipe, record: Mapping[str, Any]) -> None:
    """The hooks, in which data may go to devices and come back."""
    with jax.transfer_guard("allow"):
        for hook in recipe.hooks:
            hook(record)


def _text(results: dict[str, Any], report: EpochReport, recipe: Recipe, refused: Refused | None, timing: Timing) -> str:
    bad = f", {int(report.bad)} steps refused (last {refused})" if refused else ""
    told = f"loss {report.loss:.4f}, validation {recipe.monitor} {float(results[recipe.monitor]):.4f}{bad}"
    return ", ".join(filter(None, (told, timing.text())))
