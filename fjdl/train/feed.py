"""How a data set reaches the program: all of it on the devices at once, or batch by batch while it trains."""

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Protocol

from jax.sharding import Mesh

from fjdl.data.loading import load_batches, to_device
from fjdl.data.source import Source
from fjdl.train.inspection import checked
from fjdl.train.mesh import along
from fjdl.train.program import EpochReport, Program
from fjdl.train.recipe import Recipe
from fjdl.train.resident import place
from fjdl.train.state import Stream, TrainState, stream_key
from fjdl.typing import PyTree

Epoch = Callable[[TrainState, int], tuple[TrainState, EpochReport]]


class Observer(Protocol):
    """Is told what is handed to the devices; steps are counted from 0 over all epochs."""

    def before(self, step: int, *, until: int) -> None:
        """The steps from `step` to `until` - 1 are about to be handed over."""

    def after(self, step: int, result: PyTree) -> None:
        """The steps before `step` are under way, and `result` is that of the last; the next call takes it over."""


def epochs(
    recipe: Recipe, program: Program, source: Source, mesh: Mesh, *, observers: Sequence[Observer] = ()
) -> Epoch:
    """`(state, steps done) -> (state, report)`: one epoch over the examples of `source`.

    Both ways give the same batches in the same order; the results differ in their last bits, as those of any two
    compiled programs do.
    """
    if source.streamed:
        return _batch_by_batch(recipe, program, source, mesh, observers)
    arrays = place(source, mesh, resident=recipe.resident)

    def epoch(state: TrainState, done: int) -> tuple[TrainState, EpochReport]:
        stop = done + program.steps_per_epoch
        for observer in observers:
            observer.before(done, until=stop)
        state, report = program.epoch(state, arrays)
        for observer in observers:
            observer.after(stop, report)
        return state, report

    return epoch


def _batch_by_batch(
    recipe: Recipe, program: Program, source: Source, mesh: Mesh, observers: Sequence[Observer]
) -> Epoch:
    key, single = stream_key(recipe.seed, Stream.ORDER), program.single

    def epoch(state: TrainState, done: int) -> tuple[TrainState, EpochReport]:
        tally, stop = single.start(), done + program.steps_per_epoch
        rows = load_batches(
            key,
            source,
            batch_size=recipe.batch_size,
            start=done,
            stop=stop,
            order=recipe.order,
            workers=recipe.workers,
        )
        looked_at = checked(rows, inputs=recipe.inputs, loss=recipe.loss, part="train")
        with closing(to_device(looked_at, sharding=along(mesh))) as batches:
            for step, batch in enumerate(batches, start=done):
                for observer in observers:
                    observer.before(step, until=step + 1)
                state, tally = single.step(state, tally, batch)
                for observer in observers:
                    observer.after(step + 1, tally)
        return state, single.finish(tally)

    return epoch
