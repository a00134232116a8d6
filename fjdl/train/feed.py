"""How a data set reaches the program: all of it on the devices at once, or batch by batch while it trains."""

from collections.abc import Callable
from contextlib import closing

from jax.sharding import Mesh

from fjdl.data.loading import load_batches, to_device
from fjdl.data.source import Source
from fjdl.train.inspection import checked
from fjdl.train.mesh import along
from fjdl.train.program import EpochReport, Program
from fjdl.train.recipe import Recipe
from fjdl.train.resident import place
from fjdl.train.state import Stream, TrainState, stream_key

Epoch = Callable[[TrainState, int], tuple[TrainState, EpochReport]]


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
        rows = load_batches(key, source, batch_size=recipe.batch_size, start=done, stop=stop, workers=recipe.workers)
        looked_at = checked(rows, inputs=recipe.inputs, loss=recipe.loss, part="train")
        with closing(to_device(looked_at, sharding=along(mesh))) as batches:
            for batch in batches:
                state, tally = single.step(state, tally, batch)
        return state, single.finish(tally)

    return epoch
