"""What a recipe costs before it runs: shapes, parameters, MACs, memory, and one step."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.analysis import format_table
from fjdl.batch import assembled
from fjdl.data.batches import sequential_indices
from fjdl.train.header import left_out
from fjdl.train.inspection import check_data
from fjdl.train.prepare import prepare
from fjdl.train.program import CAUSES, EpochReport
from fjdl.train.recipe import Recipe
from fjdl.tree import count, names, size_in_bytes


def dry_run(recipe: Recipe) -> None:
    """Prints the model's table, the parameters, the memory of one compiled step, and takes that step."""
    _, splits, mesh, program = prepare(recipe)
    check_data(recipe, splits)
    indices, mask = (rows[0] for rows in sequential_indices(length=splits.train.length, batch_size=recipe.batch_size))
    examples = {name: jnp.asarray(array) for name, array in splits.train.element(np.asarray(indices)).items()}
    batch = assembled(examples, indices, mask)
    state, tally = program.begin(), program.single.start()
    jitted: Any = program.single.step
    step = jitted.lower(state, tally, batch).compile()

    lengths = (splits.train.length, splits.validation.length, splits.test.length)
    print("{}: {} training, {} validation, {} test".format(splits.name, *lengths))
    for name, what in left_out(splits):
        print(f"{name}: {what}")
    if layers := recipe.model.layers(recipe.seen(splits.train.element(0))):
        print(format_table(layers))
    print(
        "\n".join(
            f"  {name:40} {leaf.shape}"
            for name, leaf in zip(names(state.params), jax.tree.leaves(state.params), strict=True)
        )
    )
    print(f"parameters: {count(state.params):,} in {size_in_bytes(state.params):,} bytes")
    print(f"training state: {size_in_bytes(state):,} bytes")
    cost = step.cost_analysis()
    if cost and "flops" in cost:
        print(f"step of {recipe.batch_size} examples: {cost['flops']:,.0f} FLOPs, as the compiler counts them")
    memory = step.memory_analysis()
    if memory is not None:
        print(f"step of {recipe.batch_size} examples: {memory.temp_size_in_bytes:,} bytes of temporaries")
    if not splits.train.streamed:
        size = size_in_bytes(splits.train.element(np.arange(1))) * splits.train.length
        print(f"data on each of {mesh.size} devices: {size:,} bytes")
    _print_step(program.single.finish(step(state, tally, batch)[1]))


def _print_step(report: EpochReport) -> None:
    verdict = f"refused: {CAUSES[int(report.last_bad_cause)]} not finite" if int(report.bad) else "fine"
    print(f"one step: loss {float(report.loss):.4f}, gradient norm {float(report.gradient_norm):.4f}, {verdict}")
