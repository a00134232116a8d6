"""Trials on a device: the programs that they share, the data, and where each of them is."""

import functools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from queue import SimpleQueue
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.mistakes import users_mistakes
from fjdl.data.source import Splits
from fjdl.errors import UsageError
from fjdl.signals import StopRequest
from fjdl.train.inspection import check_source
from fjdl.train.mesh import make_mesh, replicated
from fjdl.train.resident import Arrays, length_of, place
from fjdl.train.trials import Progress, Trials, check_numbers, compile_now, compile_trials

_PACE = 1.0  # seconds of training between looks at signals
_PROGRAMS, _DATA = 32, 4  # most that a worker keeps


class Job(NamedTuple):
    """A trial that is to be trained up to an epoch."""

    trial: int
    point: Mapping[str, Any]
    until: int
    ends: tuple[Mapping[str, float], ...] = ()  # points of the sweep's least and greatest numbers


class Done(NamedTuple):
    """What came out of it."""

    job: Job
    scores: list[float]  # the best of each curve; NaN where training diverged, or the point was refused
    curves: list[list[float]]  # of folds and, within each, of seeds: the monitored result after each epoch
    seconds: float  # of training and validation, without compilation
    error: str | None = None  # why the point was refused


class Study(NamedTuple):
    """What all trials of a sweep share."""

    build: Callable[..., Any]  # the config's recipe, the arguments that are not varied being bound
    seeds: tuple[int, ...]
    divide: Callable[[Splits], Sequence[Splits]]  # the data set as it is, or its folds
    side_by_side: bool  # whether a trial's seeds are one vectorized program
    stop: StopRequest


class Place(NamedTuple):
    """Where the training of one or more seeds of a trial on one fold is."""

    progress: Progress
    epochs: int  # up to which it was trained


Kept = dict[Any, Place]  # by trial, fold and seeds
Data = tuple[Arrays, Arrays]  # training and validation part, on the devices


class Compiled:
    """A program, and how fast it is."""

    def __init__(self, trials: Trials) -> None:
        """Not measured yet."""
        self.trials, self._epoch = trials, math.inf  # seconds

    def trained(self, place: Place, numbers: Mapping[str, Any], until: int, data: Data, stop: StopRequest) -> Place:
        """The place after the epoch `until`, with a look at signals about once in a second."""
        progress, done = place
        while done < until:
            stop.raise_if_requested()
            more = min(until - done, max(1, int(_PACE / self._epoch)))
            start, done = time.monotonic(), done + more
            progress = jax.block_until_ready(self.trials.advance(progress, numbers, np.int32(done), *data))
            self._epoch = max(time.monotonic() - start, 1e-6) / more
        return Place(progress, done)


class Worker:
    """Trains trials on the devices of a mesh, and keeps what was compiled and placed there."""

    def __init__(self, study: Study, devices: Sequence[Any] | None = None) -> None:
        """On these devices, by default on all."""
        self._study, self._devices = study, devices
        self._programs: dict[Any, Compiled] = {}
        self._free: dict[Any, tuple[str, ...]] = {}  # by the values that are part of the program
        self._data: dict[Any, list[Data]] = {}
        self._sound: dict[Any, bool] = {}  # whether the recipe takes all numbers between the ends
        self.programs, self.compiling = 0, 0.0  # their number, seconds

    def run(self, job: Job, kept: Kept) -> Done:
        """The trial up to its epoch; `kept` holds where each trial is, and is brought up to date.

        A point that the recipe refuses is told of the trial. Raises what is wrong with the data.
        """
        try:
            with users_mistakes():
                recipe = self._study.build(seed=self._study.seeds[0], **job.point)
        except UsageError as error:
            return _refused(job, error)
        mesh = make_mesh(self._devices, axes=recipe.layout.axes)
        with users_mistakes():
            folds = self._folds(recipe, job, mesh)
        start, apart = time.monotonic(), self.compiling
        try:
            with users_mistakes():
                curves = list(self._curves(recipe, job, folds, kept, mesh))
        except UsageError as error:
            return _refused(job, error)
        seconds = time.monotonic() - start - (self.compiling - apart)
        return Done(job, [best_of(curve, mode=recipe.mode) for curve in curves], curves, seconds)

    def _curves(self, recipe: Any, job: Job, folds: Sequence[Data], kept: Kept, mesh: Any) -> Iterator[list[float]]:
        seeds = self._study.seeds
        groups = [seeds] if self._study.side_by_side and len(seeds) > 1 else [(seed,) for seed in seeds]
        for fold, data in enumerate(folds):
            for group in groups:
                yield from self._trained(recipe, job, (fold, group), data, kept, mesh)

    def _trained(
        self, recipe: Any, job: Job, part: tuple[int, tuple[int, ...]], data: Data, kept: Kept, mesh: Any
    ) -> Iterator[list[float]]:
        """The curves of some seeds on one fold."""
        fold, seeds = part
        seed: Any = np.array(seeds, np.uint32)
        numbers = {"seed": seed if len(seeds) > 1 else seed[0], **_floats(job.point)}
        program = self._compiled(job, numbers, data, mesh)
        self._check(job, data, mesh)
        if len(seeds) > 1 and not program.trials.at_once:
            for seed in seeds:
                yield from self._trained(recipe, job, (fold, (seed,)), data, kept, mesh)
            return
        given = {name: numbers[name] for name in program.trials.free}
        place = kept.pop((job.trial, *part), None) or Place(program.trials.begin(given), 0)
        if self._devices is not None:  # a trial on one device, perhaps another one than before
            place = Place(jax.device_put(place.progress, replicated(mesh)), place.epochs)
        place = kept[job.trial, *part] = program.trained(place, given, job.until, data, self._study.stop)
        progress, per_epoch = place.progress, recipe.order.steps(length_of(data[0]), recipe.batch_size)
        rows = (
            np.atleast_2d(np.asarray(progress.curve)),
            np.ravel(np.asarray(progress.state.step)) // per_epoch,
            np.ravel(np.asarray(progress.streak)),
        )
        for curve, epochs, streak in zip(*rows, strict=True):
            yield curve[:epochs].tolist() + [math.nan] * bool(streak >= recipe.max_bad_steps)

    def _check(self, job: Job, data: Data, mesh: Any) -> None:
        """Raises what the recipe raises for the values of the point, which a compiled program takes as they are."""
        if not self._is_sound(job, data, mesh):
            self._look(job, job.point, data, mesh)

    def _is_sound(self, job: Job, data: Data, mesh: Any) -> bool:
        """Whether the recipe takes the sweep's least and greatest numbers, and so all of them."""
        key = _key({**job.point, **dict.fromkeys(_floats(job.point)), "ends": job.ends})
        if key not in self._sound:
            self._sound[key] = bool(job.ends) and all(
                _is_taken(functools.partial(self._look, job, {**job.point, **ends}, data, mesh)) for ends in job.ends
            )
        return self._sound[key]

    def _look(self, job: Job, point: Mapping[str, Any], data: Data, mesh: Any) -> None:
        fixed = {name: value for name, value in job.point.items() if name not in _floats(job.point)}
        numbers = {"seed": self._study.seeds[0], **_floats(point)}
        check_numbers(functools.partial(self._study.build, **fixed), numbers, train=data[0], mesh=mesh)

    def _compiled(self, job: Job, numbers: Mapping[str, Any], data: Data, mesh: Any) -> Compiled:
        fixed = {name: value for name, value in job.point.items() if name not in numbers}
        form = (_key(fixed), np.shape(numbers["seed"]), *map(length_of, data))
        bound = _key({name: value for name, value in numbers.items() if name not in self._free.get(_key(fixed), ())})
        if (form, bound) in self._programs:
            return self._programs[form, bound]
        start, build = time.monotonic(), functools.partial(self._study.build, **fixed)
        several = np.ndim(numbers["seed"]) > 0
        trials = compile_trials(build, numbers, train=data[0], validation=data[1], mesh=mesh, at_once=several)
        if self._devices is not None:
            look = functools.partial(self._is_sound, job, data, mesh)
            compile_now(trials, numbers, data, mesh=mesh, meanwhile=look)
        self._free[_key(fixed)] = trials.free
        bound = _key({name: value for name, value in numbers.items() if name not in trials.free})
        self.programs, self.compiling = self.programs + 1, self.compiling + time.monotonic() - start
        return _kept(self._programs, (form, bound), Compiled(trials), most=_PROGRAMS)

    def _folds(self, recipe: Any, job: Job, mesh: Any) -> list[Data]:
        """The data of each fold, which are loaded again where they may depend on the point."""
        again = self._study.build(seed=self._study.seeds[0], **job.point)
        fixed = {name: value for name, value in job.point.items() if name not in _floats(job.point)}
        known = self._free.get(_key(fixed), ())
        bound = {name: value for name, value in job.point.items() if name not in known}
        key = recipe.splits if again.splits is recipe.splits else _key(bound)
        if key not in self._data:
            folds = [_placed(recipe, splits, mesh) for splits in self._study.divide(recipe.splits())]
            _kept(self._data, key, folds, most=_DATA)
        return self._data[key]


def run_all(workers: Sequence[Worker], jobs: Sequence[Job], kept: Kept) -> Iterator[Done]:
    """What comes out of the jobs, as they end; several workers take them side by side."""
    if len(workers) == 1:
        yield from (workers[0].run(job, kept) for job in jobs)
        return
    idle: SimpleQueue[Worker] = SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def run(job: Job) -> Done:
        worker = idle.get()
        try:
            return worker.run(job, kept)
        finally:
            idle.put(worker)

    with ThreadPoolExecutor(len(workers)) as pool:
        try:
            yield from (done.result() for done in as_completed([pool.submit(run, job) for job in jobs]))
        finally:
            pool.shutdown(cancel_futures=True)


def ends_of(points: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, float], ...]:
    """The least number of each name in the points, and the greatest; none where a name is not always a number."""
    names = [name for name, value in points[0].items() if isinstance(value, float)]
    columns = {name: [point[name] for point in points] for name in names}
    if not all(isinstance(value, float) for column in columns.values() for value in column):
        return ()
    return tuple({name: end(column) for name, column in columns.items()} for end in (min, max))


def in_memory(splits: Splits) -> Splits:
    """The data set whose training and validation parts are read into memory as a whole where they are streamed."""
    return replace(
        splits, train=splits.train._replace(streamed=False), validation=splits.validation._replace(streamed=False)
    )


def best_of(curve: Sequence[float], *, mode: str) -> float:
    """The best of the values; NaN for a curve that ends with it, as that of a training that diverged does."""
    known = [value for value in curve if not math.isnan(value)]
    if not known or math.isnan(curve[-1]):
        return math.nan
    return max(known) if mode == "max" else min(known)


def _placed(recipe: Any, splits: Splits, mesh: Any) -> Data:
    for part in ("train", "validation"):
        source = getattr(splits, part)
        if source.streamed:
            raise UsageError(f"{splits.name} is streamed, and a sweep needs its data on the devices: add --in-memory")
        check_source(recipe, source, part=part)
    train, validation = (place(part, mesh, resident=recipe.resident) for part in (splits.train, splits.validation))
    return train, validation


def _is_taken(check: Callable[[], None]) -> bool:
    try:
        check()
    except (ValueError, TypeError):
        return False
    return True


def _refused(job: Job, error: UsageError) -> Done:
    return Done(job, [math.nan], [], 0.0, str(error))


def _floats(point: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in point.items() if isinstance(value, float)}


def _key(values: Mapping[str, Any]) -> str:
    return repr(sorted((name, repr(value)) for name, value in values.items()))


def _kept(cache: dict[Any, Any], key: Any, value: Any, *, most: int) -> Any:
    """Puts a value into a cache, from which the oldest goes where it is full."""
    while len(cache) >= most:
        cache.pop(next(iter(cache)))
    cache[key] = value
    return value
