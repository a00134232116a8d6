"""What is made once of a recipe and handed down: its data, the mesh, and the program that is compiled for both."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, Sharding

from fjdl.batch import assembled
from fjdl.data.source import Source, Splits
from fjdl.errors import UsageError
from fjdl.train.inspection import check_data
from fjdl.train.mesh import along, make_mesh, replicated
from fjdl.train.program import Program, compile_program
from fjdl.train.recipe import Recipe
from fjdl.train.resident import abstract
from fjdl.train.state import evaluated_params

Shapes = dict[str, jax.ShapeDtypeStruct]


class Prepared(NamedTuple):
    """A recipe, and what was made of it."""

    recipe: Recipe
    splits: Splits
    mesh: Mesh
    program: Program


def prepare(recipe: Recipe, *, devices: list[Any] | None = None) -> Prepared:
    """Loads the data and makes the program for the local devices, or for those given; nothing runs or compiles yet."""
    mesh, splits = make_mesh(devices, axes=recipe.layout.axes), recipe.splits()
    program = compile_program(recipe, mesh, examples=splits.train.length, example=splits.train.element(0))
    return Prepared(recipe, splits, mesh, program)


class Call(NamedTuple):
    """A jitted function of a training, and the shapes, dtypes and places of what it is called with."""

    function: Any
    arguments: tuple[Any, ...]

    def shapes(self) -> Any:
        """The shapes of its results; it is traced and not run."""
        return jax.eval_shape(self.function, *self.arguments)


def training_call(prepared: Prepared, *, single: bool | None = None) -> Call:
    """How a training calls its program: an epoch of data on the devices, or a step where they are streamed.

    `single=True` gives the step for data on the devices too, a batch of which then comes from the host.
    """
    recipe, splits, mesh, program = prepared
    state = placed(jax.eval_shape(program.init), program.places)
    if splits.train.streamed if single is None else single:
        batch = _batch(splits.train, recipe.batch_size, along(mesh))
        tally = placed(jax.eval_shape(program.single.start), replicated(mesh))
        return Call(program.single.step, (state, tally, batch))
    return Call(program.epoch, (state, abstract(splits.train, mesh, resident=recipe.resident)))


def loop_call(prepared: Prepared) -> Call:
    """How `fit` calls its program: some steps of an epoch of data on the devices, or a step where they are streamed."""
    _, splits, mesh, program = prepared
    call = training_call(prepared)
    if splits.train.streamed:
        return call
    state, arrays = call.arguments
    tally = placed(jax.eval_shape(program.single.start), replicated(mesh))
    bounds = jax.ShapeDtypeStruct((2,), np.int32, sharding=replicated(mesh))
    return Call(program.part, (state, tally, arrays, bounds))


def evaluation_call(prepared: Prepared, state: Any, source: Source) -> Call:
    """How a training evaluates a state on a part of the data: all of it at once, or one batch where it is streamed."""
    evaluator, mesh = prepared.program.evaluator, prepared.mesh
    params, stats = evaluated_params(state), state.stats
    if source.streamed:
        size = evaluator.batch_size(source.length)
        batch, start = _batch(source, size, along(mesh)), jax.eval_shape(lambda: evaluator.start(size))
        return Call(evaluator.step, (placed(start, replicated(mesh)), params, stats, batch))
    return Call(evaluator.whole, (params, stats, abstract(source, mesh, resident=prepared.recipe.resident)))


def check(prepared: Prepared) -> None:
    """Looks at the data, and traces all that a training and its result run, without running it; JAX keeps the traces.

    So nothing that they refuse is refused after the training. Raises `DataError` and `UsageError`, and what the
    functions of the recipe raise.
    """
    recipe, splits, _, program = prepared
    check_data(recipe, splits)
    state, *_ = loop_call(prepared).shapes()
    state = placed(state, program.places)
    results, _ = (_results(prepared, state, source) for source in (splits.validation, splits.test))
    jax.eval_shape(program.remember, state, results[recipe.monitor])
    if results[recipe.told.headline].shape:
        raise UsageError(f"headline must name a scalar, got shape {results[recipe.told.headline].shape}")


def _results(prepared: Prepared, state: Any, source: Source) -> Any:
    """The shapes of what an evaluation of the state gives."""
    found = evaluation_call(prepared, state, source).shapes()
    if source.streamed:
        found = jax.eval_shape(prepared.program.evaluator.finish, found)
    return placed(found, replicated(prepared.mesh))


def _batch(source: Source, size: int, sharding: Sharding) -> Shapes:
    one = assembled(source.element(0), np.int32(0), np.float32(1))
    return _rows(one, size, sharding)


def _rows(example: Any, count: int, sharding: Sharding) -> Shapes:
    arrays = {name: np.asarray(array) for name, array in example.items()}
    return {
        name: jax.ShapeDtypeStruct((count, *array.shape), array.dtype, sharding=sharding)
        for name, array in arrays.items()
    }


def placed(tree: Any, places: Any) -> Any:
    """The shapes of a tree with where they live, one sharding for all or one for each."""
    each = jax.tree.broadcast(places, tree)
    return jax.tree.map(lambda x, home: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=home), tree, each)
