"""How a data set reaches the program: all of it on the devices at once, or batch by batch while it trains."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

from jax.sharding import Mesh

from fjdl.data.source import Source
from fjdl.data.stream import stream, stream_in_order, to_device
from fjdl.train.inspection import checked
from fjdl.train.mesh import along
from fjdl.train.program import EpochReport, Program, evaluation_batch, place
from fjdl.train.recipe import Recipe
from fjdl.train.state import Stream, TrainState, stream_key

Epoch = Callable[[TrainState, int], tuple[TrainState, EpochReport]]
Evaluation = Callable[[TrainState], dict[str, Any]]


def epochs(recipe: Recipe, program: Program, source: Source, mesh: Mesh) -> Epoch:
    """`(state, steps done) -> (state, report)`: one epoch over the examples of `source`.

    Both ways give the same batches in the same order; the results differ in their last bits, as those of any two
    compiled programs do.
    """
    if not source.streamed:
        arrays = place(source, mesh)
        return lambda state, done: program.epoch(state, arrays)
    key, single = stream_key(recipe.seed, Stream.ORDER), program.single

    def epoch(state: TrainState, done: int) -> tuple[TrainState, EpochReport]:
        tally, stop = single.start(), done + program.steps_per_epoch
        rows = stream(key, source, batch_size=recipe.batch_size, start=done, stop=stop, workers=recipe.workers)
        looked_at = checked(recipe, rows, part="train")
        with closing(to_device(looked_at, sharding=along(mesh))) as batches:
            for batch in batches:
                state, tally = single.step(state, tally, batch)
        return state, single.finish(tally)

    return epoch


def evaluation(recipe: Recipe, program: Program, source: Source, mesh: Mesh, *, part: str = "given") -> Evaluation:
    """`state -> results` of every metric and the loss on the examples of `source`, which errors call `part`."""
    if not source.streamed:
        arrays = place(source, mesh)
        return lambda state: program.evaluate(state, arrays)

    def evaluate(state: TrainState) -> dict[str, Any]:
        single = program.single
        size = evaluation_batch(recipe, source.length, mesh)
        states = single.evaluate_start()
        rows = stream_in_order(source, batch_size=size, workers=recipe.workers)
        with closing(to_device(checked(recipe, rows, part=part), sharding=along(mesh))) as batches:
            for batch in batches:
                states = single.evaluate_step(states, state, batch)
        return single.evaluate_finish(states)

    return evaluate
