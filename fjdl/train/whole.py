"""A whole training as one function of arrays, to be compiled as one program of its seed, its rate, or anything else."""

from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh

from fjdl.train.mesh import make_mesh
from fjdl.train.program import EpochReport, compile_program
from fjdl.train.recipe import Recipe
from fjdl.train.resident import Arrays, first_of, length_of
from fjdl.train.state import TrainState


class Whole(NamedTuple):
    """What a training from its first step to its last gives."""

    state: TrainState  # after the last epoch
    reports: EpochReport  # of each epoch, along the first axis
    each: dict[str, Any]  # results after each epoch, along the first axis
    end: dict[str, Any]  # results after the last epoch


def whole_training(
    recipe: Recipe, train: Arrays, *, each: Arrays | None = None, end: Arrays | None = None, mesh: Mesh | None = None
) -> Whole:
    """The recipe's training on `train`, with an evaluation on `each` after each epoch and one on `end` at the end.

    Seed and learning rate may be traced, so one program does for many of them:

        run = jax.jit(lambda seed, rate: whole_training(build(seed, rate), train, each=validation))

    where `build` makes the recipe and `train` and `validation` are as `place` gives them, or mappings of arrays with
    the examples along their first axis. The batches, their order and
    the keys are those of `fit`. It has neither checkpoints nor early stopping, and no epoch is remembered as the best.
    """
    mesh = mesh or make_mesh(axes=recipe.layout.axes)
    program = compile_program(recipe, mesh, examples=length_of(train), example=first_of(train))

    def epoch(state: TrainState, _: None) -> tuple[TrainState, tuple[EpochReport, dict[str, Any]]]:
        state, report = program.epoch(state, train)
        return state, (report, {} if each is None else program.evaluate(state, each))

    state, (reports, results) = jax.lax.scan(epoch, program.begin(), length=recipe.epochs)
    return Whole(state, reports, results, {} if end is None else program.evaluate(state, end))
