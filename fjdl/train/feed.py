"""How a data set reaches the program: all of it on the devices at once, or batch by batch while it trains."""

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import NamedTuple, Protocol

import jax
from jax.sharding import Mesh

from fjdl.data.loading import load_batches, to_device
from fjdl.data.source import Source
from fjdl.train.inspection import checked
from fjdl.train.mesh import along, on_all
from fjdl.train.pace import Pace
from fjdl.train.processes import local_rows
from fjdl.train.program import EpochReport, Program, Tally
from fjdl.train.recipe import Recipe
from fjdl.train.resident import place
from fjdl.train.state import Stream, TrainState, stream_key
from fjdl.typing import PyTree


class Progressed(NamedTuple):
    """An epoch, or what was done of it."""

    state: TrainState
    tally: Tally  # of its steps so far
    step: int  # training steps done, over all epochs
    report: EpochReport | None  # of the whole epoch, None where it was asked to stop before


Epoch = Callable[[TrainState, Tally, int, Pace], Progressed]


class Observer(Protocol):
    """Is told what is handed to the devices; steps are counted from 0 over all epochs."""

    def before(self, step: int, *, until: int) -> None:
        """The steps from `step` to `until` - 1 are about to be handed over."""

    def after(self, step: int, result: PyTree) -> None:
        """The steps before `step` are under way, and `result` is that of the last; the next call takes it over."""


def epochs(
    recipe: Recipe, program: Program, source: Source, mesh: Mesh, *, observers: Sequence[Observer] = ()
) -> Epoch:
    """`(state, tally, steps done, pace) -> Progressed`: the rest of an epoch over the examples of `source`.

    At the first step of an epoch its tally begins anew. Both ways of having data give the same batches in the same
    order; the results differ in their last bits, as those of any two compiled programs do.
    """
    if source.streamed:
        return _batch_by_batch(recipe, program, source, mesh, observers)
    arrays, per_epoch = place(source, mesh, resident=recipe.resident), program.steps_per_epoch

    def epoch(state: TrainState, tally: Tally, done: int, pace: Pace) -> Progressed:
        begin, report = done // per_epoch * per_epoch, None
        end = begin + per_epoch
        while done < end:
            until = pace.until(done, end)
            if until is None:
                return Progressed(state, tally, done, None)
            for observer in observers:
                observer.before(done, until=until)
            state, tally, report = program.part(state, tally, arrays, on_all([done - begin, until - begin], mesh))
            for observer in observers:
                observer.after(until, report)
            done = _reached(pace, until, report, end)
        return Progressed(state, tally, done, report)

    return epoch


def _batch_by_batch(
    recipe: Recipe, program: Program, source: Source, mesh: Mesh, observers: Sequence[Observer]
) -> Epoch:
    key, single, per_epoch = stream_key(recipe.seed, Stream.ORDER), program.single, program.steps_per_epoch

    def epoch(state: TrainState, tally: Tally, done: int, pace: Pace) -> Progressed:
        begin = done // per_epoch * per_epoch
        tally, end = single.start() if done == begin else tally, begin + per_epoch
        rows = load_batches(
            key,
            source,
            batch_size=recipe.batch_size,
            start=done,
            stop=end,
            order=recipe.order,
            workers=recipe.workers,
            rows=local_rows(recipe.batch_size, mesh),
        )
        looked_at = checked(rows, inputs=recipe.inputs, loss=recipe.loss, part="train")
        with closing(to_device(looked_at, sharding=along(mesh))) as batches:
            while done < end:
                until = pace.until(done, end)
                if until is None:
                    return Progressed(state, tally, done, None)
                for step, batch in zip(range(done, until), batches, strict=False):
                    for observer in observers:
                        observer.before(step, until=step + 1)
                    state, tally = single.step(state, tally, batch)
                    for observer in observers:
                        observer.after(step + 1, tally)
                done = _reached(pace, until, tally, end)
        return Progressed(state, tally, done, single.finish(tally))

    return epoch


def _reached(pace: Pace, step: int, result: PyTree, end: int) -> int:
    """The step, at which the host waits for the devices unless the epoch ends there."""
    if step < end:
        jax.block_until_ready(result)
        pace.reached(step)
    return step
