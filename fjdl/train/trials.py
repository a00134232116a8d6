"""Trainings that differ in their numbers alone as one compiled program of these numbers: what a sweep is made of."""

import functools
import types
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import Mesh

from fjdl.train.mesh import replicated
from fjdl.train.program import Program, compile_program
from fjdl.train.recipe import Recipe
from fjdl.train.resident import Arrays, batch_of, first_of, length_of
from fjdl.train.state import Stream, TrainState, stream_key
from fjdl.train.step import make_train_step
from fjdl.typing import Array

Build = Callable[..., Recipe]  # of a config's arguments by name
_DEEP = 8  # functions in functions that are looked into


class Progress(NamedTuple):
    """Where a trial is; with several seeds at once, each array has their axis first."""

    state: TrainState
    curve: Array  # [epochs]: the monitored result on validation data after each epoch, NaN for those to come
    streak: Array  # refused steps in a row, at worst


class Trials(NamedTuple):
    """A training as two compiled functions of its numbers."""

    free: tuple[str, ...]  # the arguments of `build` that the functions take; all others are part of the program
    begin: Callable[[Mapping[str, Any]], Progress]
    advance: Callable[[Progress, Mapping[str, Any], Any, Arrays, Arrays], Progress]  # up to an epoch, see `advanced`
    at_once: bool  # whether `seed` is an array of several


def compile_trials(
    build: Build, numbers: Mapping[str, Any], *, train: Arrays, validation: Arrays, mesh: Mesh, at_once: bool = False
) -> Trials:
    """The program of `build(**numbers)` for data of these shapes, which is compiled at its first call.

    `numbers` holds the seed and whatever else may become an argument of the program: those of which the recipe can be
    made without their values, such as a learning rate. Which ones is found by tracing, at once for all of them, else
    one by one; a number that decides something in Python, or of which the data are made, becomes a part of the
    program. With `at_once` the seed is an array, and the trials of all its entries run side by side, unless the seed
    must be a part of the program, which then is that of the first one. Raises what `build` and the recipe's functions
    raise.
    """
    arrays = train, validation

    def compiled(names: tuple[str, ...]) -> Trials:
        one = {**numbers, "seed": int(np.ravel(numbers["seed"])[0])}
        fixed = {name: one[name] for name in numbers if name not in names}
        made, side_by_side = functools.partial(build, **fixed), at_once and "seed" in names
        begin, advance = functools.partial(begun, made, arrays, mesh), functools.partial(advanced, made, mesh)
        if side_by_side:
            axes = {name: 0 if name == "seed" else None for name in names}
            begin = jax.vmap(begin, in_axes=(axes,))
            advance = jax.vmap(advance, in_axes=(0, axes, None, None, None))
        trials = Trials(names, jax.jit(begin), jax.jit(advance, donate_argnums=0), side_by_side)
        given = {name: numbers[name] for name in names}
        jax.eval_shape(trials.advance, jax.eval_shape(trials.begin, given), given, np.int32(1), *arrays)
        return trials

    return _with_most_free(compiled, tuple(numbers))


def check_numbers(build: Build, numbers: Mapping[str, Any], *, train: Arrays, mesh: Mesh) -> None:
    """Traces one training step with these numbers, and raises what the recipe's functions raise for their values.

    A compiled program knows no values, so it refuses none. The rules of options are intervals: where they take the
    least and the greatest value of each number, they take those between.
    """
    recipe, program = _program(build, numbers, train, mesh)
    length = length_of(train)
    steps = recipe.order.steps(length, recipe.batch_size) * recipe.epochs

    def step() -> Any:
        key = stream_key(recipe.seed, Stream.ORDER)
        indices, mask = recipe.order.rows(key, 0, length=length, batch_size=recipe.batch_size)
        batch = batch_of(train, (indices[0], mask[0]), mesh, order=recipe.order)
        return make_train_step(recipe, mesh, steps=steps)(program.init(), batch)

    jax.eval_shape(step)


def begun(build: Build, arrays: tuple[Arrays, Arrays], mesh: Mesh, numbers: Mapping[str, Any]) -> Progress:
    """Inside `jit`: the trial before its first step, of arrays whose dtypes are fixed, as those of any array are."""
    recipe, program = _program(build, numbers, arrays[0], mesh)
    start = Progress(program.begin(), jnp.full(recipe.epochs, jnp.nan), jnp.zeros((), jnp.int32))
    return jax.tree.map(lambda x: jax.lax.convert_element_type(x, x.dtype), start)


def compile_now(
    trials: Trials,
    numbers: Mapping[str, Any],
    data: tuple[Arrays, Arrays],
    *,
    mesh: Mesh,
    meanwhile: Callable[[], object],
) -> None:
    """Compiles both functions side by side, for trials whose arrays all devices of the mesh have as a whole.

    `meanwhile` is called here while the compiler works in threads of its own.
    """
    given, everywhere = {name: numbers[name] for name in trials.free}, replicated(mesh)
    shapes = jax.eval_shape(trials.begin, given)
    blank = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype, device=everywhere), shapes)
    with ThreadPoolExecutor(2) as pool:
        results = pool.submit(trials.advance, blank, given, np.int32(0), *data), pool.submit(trials.begin, given)
        meanwhile()
        jax.block_until_ready([result.result() for result in results])


def advanced(
    build: Build, mesh: Mesh, progress: Progress, numbers: Mapping[str, Any], until: Any, train: Arrays, held: Arrays
) -> Progress:
    """Inside `jit`: the trial after the epoch `until`, or where it ended before.

    Its batches, keys and evaluations on `held` are those of `fit`, its early stopping too. It also ends where as many
    steps in a row were refused as make `fit` give up.
    """
    recipe, program = _program(build, numbers, train, mesh)

    def goes_on(now: Progress) -> Array:
        epoch = now.state.step // program.steps_per_epoch
        patient = recipe.patience is None or now.state.best.wait < recipe.patience
        return (epoch < until) & patient & (now.streak < recipe.max_bad_steps)

    def epoch(now: Progress) -> Progress:
        state, report = program.epoch(now.state, train)
        value = program.evaluate(state, held)[recipe.monitor]
        curve = now.curve.at[state.step // program.steps_per_epoch - 1].set(value)
        return Progress(program.remember(state, value), curve, jnp.maximum(now.streak, report.worst_streak))

    return jax.lax.while_loop(goes_on, epoch, progress)


def _program(build: Build, numbers: Mapping[str, Any], train: Arrays, mesh: Mesh) -> tuple[Recipe, Program]:
    recipe = build(**numbers)
    if _holds_tracer(recipe.splits):
        raise TypeError("the data depend on a number that is an argument of the program")
    return recipe, compile_program(recipe, mesh, examples=length_of(train), example=first_of(train))


def _with_most_free(compiled: Callable[[tuple[str, ...]], Trials], names: tuple[str, ...]) -> Trials:
    """The program with as many of the names as arguments as can be traced."""

    def attempt(chosen: tuple[str, ...]) -> Trials | None:
        try:
            return compiled(chosen)
        except Exception:  # whatever a config does with a number that it does not know
            return None

    if (found := attempt(names)) is not None:
        return found
    fixed = compiled(())  # where this fails too, it is no number's fault
    alone = tuple(name for name in names if attempt((name,)) is not None)
    return attempt(alone) or attempt(alone[:1]) or fixed


def _holds_tracer(thing: Any, depth: int = 0) -> bool:
    """Whether a function, or what it is made of, holds a value that is not known yet."""
    if isinstance(thing, Tracer):
        return True
    if depth == _DEEP or isinstance(thing, type | types.ModuleType | str | np.ndarray | jax.Array):
        return False
    return any(_holds_tracer(part, depth + 1) for part in _parts(thing))


def _parts(thing: Any) -> list[Any]:
    if isinstance(thing, Mapping):
        return list(thing.values())
    if isinstance(thing, tuple | list | set | frozenset):
        return list(thing)
    if isinstance(thing, functools.partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    parts = [getattr(thing, name, None) for name in ("__wrapped__", "__self__", "__defaults__", "__kwdefaults__")]
    parts += [cell.cell_contents for cell in getattr(thing, "__closure__", None) or () if _is_full(cell)]
    return [part for part in (*parts, *getattr(thing, "__dict__", {}).values()) if part is not None]


def _is_full(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True
