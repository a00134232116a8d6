"""What a recipe costs before it runs: shapes, parameters, MACs, memory, and one step."""

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.analysis import format_table
from fjdl.batch import EPOCH, EXAMPLE_MASK, INDEX, of_batch, with_reserved
from fjdl.data.batches import sequential_indices, steps_per_epoch
from fjdl.train.inspection import check_data
from fjdl.train.mesh import check_batch, make_mesh
from fjdl.train.recipe import Recipe
from fjdl.train.state import TrainState, init_state
from fjdl.train.step import StepReport, make_train_step
from fjdl.tree import count, names, size_in_bytes


def dry_run(recipe: Recipe) -> None:
    """Prints the model's table, the parameters, the memory of one compiled step, and takes that step."""
    splits, mesh = recipe.splits(), make_mesh()
    check_data(recipe, splits)
    check_batch(recipe.batch_size // recipe.accumulate, mesh)
    indices, mask = (rows[0] for rows in sequential_indices(length=splits.train.length, batch_size=recipe.batch_size))
    examples = {name: jnp.asarray(array) for name, array in splits.train.element(np.asarray(indices)).items()}
    batch = with_reserved(examples, **{INDEX: indices, EPOCH: jnp.zeros_like(indices), EXAMPLE_MASK: mask})
    steps = recipe.epochs * steps_per_epoch(splits.train.length, recipe.batch_size)
    example = of_batch("inputs", recipe.inputs, {name: array[:1] for name, array in batch.items()})
    state = jax.jit(lambda: init_state(recipe, example, steps=steps))()
    step = jax.jit(make_train_step(recipe, mesh, steps=steps)).lower(state, batch).compile()

    lengths = (splits.train.length, splits.validation.length, splits.test.length)
    print("{}: {} training, {} validation, {} test".format(splits.name, *lengths))
    if layers := recipe.model.layers(example):
        print(format_table(layers))
    print(
        "\n".join(
            f"  {name:40} {leaf.shape}"
            for name, leaf in zip(names(state.params), jax.tree.leaves(state.params), strict=True)
        )
    )
    print(f"parameters: {count(state.params):,} in {size_in_bytes(state.params):,} bytes")
    print(f"training state: {size_in_bytes(state):,} bytes")
    memory = step.memory_analysis()
    if memory is not None:
        print(f"step of {recipe.batch_size} examples: {memory.temp_size_in_bytes:,} bytes of temporaries")
    if not splits.train.streamed:
        size = size_in_bytes(splits.train.element(np.arange(1))) * splits.train.length
        print(f"data on each of {mesh.size} devices: {size:,} bytes")
    _print_step(*step(state, batch))


def _print_step(state: TrainState, report: StepReport) -> None:
    verdict = "refused: not finite" if bool(report.bad) else "fine"
    mean = float(report.loss / jnp.maximum(report.examples, 1))
    print(f"one step: loss {mean:.4f}, gradient norm {float(report.gradient_norm):.4f}, {verdict}")
