"""A run's preprocessing, network and parameters as one program of `jax.export`, which runs without fjdl."""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from fjdl.analysis.dependence import inputs_used
from fjdl.batch import assembled
from fjdl.errors import UsageError
from fjdl.train.precision import at_precision
from fjdl.train.prediction import answer_of
from fjdl.train.recipe import Recipe
from fjdl.typing import PyTree

Arrays = Mapping[str, Any]
BATCH = "batch"  # the name of an open number of examples


class Portable(NamedTuple):
    """A program in the form of files, and what it takes and gives."""

    content: bytes  # of `jax.export.Exported.serialize`
    inputs: dict[str, jax.ShapeDtypeStruct]  # the arrays of a batch, as the data set has them
    outputs: Any  # their shapes and dtypes
    convention: int  # the version of JAX's calling convention
    call: Callable[..., Any]  # the program itself, read back from the content, by the names of the inputs


def portable(
    recipe: Recipe,
    params: PyTree,
    stats: PyTree,
    example: Arrays,
    *,
    platforms: Sequence[str],
    answers: bool,
    batch_size: int | None,
) -> Portable:
    """The evaluation of batches like `example` in one program for all platforms, with the parameters inside.

    It takes those arrays of the data set that its results depend on, by their names, and gives the outputs; or with
    `answers` a dictionary of "outputs" and of what the task makes of them. The number of examples is left open unless
    `batch_size` says it. Raises `UsageError` for what JAX cannot export.
    """
    whole = batch_function(recipe, params, stats, answers=answers)
    shapes = {name: _shape(name, array) for name, array in example.items()}
    names = _used(whole, shapes)

    def predict(**arrays: Any) -> Any:
        count = next(iter(arrays.values())).shape[0]
        spare = {name: jnp.zeros((count, *s.shape[1:]), s.dtype) for name, s in shapes.items() if name not in names}
        return whole({**arrays, **spare})

    (count,) = (batch_size,) if batch_size else jax.export.symbolic_shape(BATCH)
    inputs = {name: jax.ShapeDtypeStruct((count, *shapes[name].shape[1:]), shapes[name].dtype) for name in names}
    try:
        exported = jax.export.export(jax.jit(predict), platforms=tuple(platforms))(**inputs)
        content = bytes(exported.serialize())
    except Exception as error:
        if os.environ.get("FJDL_TRACEBACK"):
            raise
        raise UsageError(_refusal(error, batch_size)) from error
    read = jax.export.deserialize(bytearray(content))
    outputs = jax.tree.unflatten(exported.out_tree, exported.out_avals)
    return Portable(content, inputs, outputs, exported.calling_convention_version, read.call)


def batch_function(recipe: Recipe, params: PyTree, stats: PyTree, *, answers: bool) -> Callable[[Arrays], Any]:
    """From the data set's arrays of a batch, whose sequences all begin in it, to outputs of dicts, lists and tuples.

    Raises `UsageError` for answers of a task that has none.
    """
    network, answer = recipe.network, answer_of(recipe.told) if answers else None
    if answers and answer is None:
        raise UsageError("the run's task must give answers for --answers, such as classification does, got one without")

    def evaluate(arrays: Arrays) -> Any:
        count = next(iter(arrays.values())).shape[0]
        batch = assembled(arrays, jnp.zeros(count, jnp.int32), jnp.ones(count))
        weights, statistics = jax.tree.map(jnp.asarray, params), jax.tree.map(jnp.asarray, stats)
        outputs = network(weights, statistics, batch, network.begin(count), train=False).outputs
        if answer is None:
            return plain_tree(outputs)
        return {"outputs": plain_tree(outputs), **plain_tree(answer(outputs, batch))}

    return at_precision(recipe.precision, evaluate)


def plain_tree(tree: Any) -> Any:
    """The tree with dictionaries in place of named tuples, which a file cannot name.

    Raises `UsageError` for a container of another kind.
    """
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return {name: plain_tree(getattr(tree, name)) for name in tree._fields}  # type: ignore[attr-defined]
    if isinstance(tree, Mapping):
        return {name: plain_tree(part) for name, part in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(plain_tree(part) for part in tree)
    if tree is None or jax.tree.structure(tree) == jax.tree.structure(0):
        return tree
    raise UsageError(
        f"outputs must be arrays, or dicts, lists, tuples and named tuples of them, to be exported, got "
        f"{type(tree).__name__}"
    )


def largest_difference(found: Any, expected: Any) -> float:
    """The largest absolute difference between two trees of arrays; NaN are equal, other shapes differ infinitely."""
    differences = [0.0]
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        a, b = np.asarray(one).astype(np.float64), np.asarray(other).astype(np.float64)
        if a.shape != b.shape:
            return float("inf")
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        differences.append(float(np.max(np.where(same, 0, np.abs(a - b)), initial=0)))
    return float(np.max(differences))


def _shape(name: str, array: Any) -> jax.ShapeDtypeStruct:
    """The shape of one example in a batch, in the dtype in which JAX keeps it."""
    array = np.asarray(array)
    if array.dtype.kind not in "biufc" and array.dtype.name not in ("bfloat16", "float16"):
        raise UsageError(f"the data's {name!r} must hold numbers to be exported, got {array.dtype}")
    return jax.ShapeDtypeStruct((1, *array.shape), jax.dtypes.canonicalize_dtype(array.dtype))


def _used(function: Callable[[Arrays], Any], shapes: Mapping[str, jax.ShapeDtypeStruct]) -> list[str]:
    """The names of the arrays that results depend on; raises `UsageError` where they depend on none."""
    used = inputs_used(jax.make_jaxpr(function)(dict(shapes)).jaxpr)
    names = [name for name, read in zip(sorted(shapes), used, strict=True) if read]
    if not names:
        raise UsageError("the run's outputs must depend on its data to be exported, got some that do not")
    return names


def _refusal(error: Exception, batch_size: int | None) -> str:
    reason = next(iter(str(error).strip().splitlines()), "").rstrip(".") or type(error).__name__
    remedy = "" if batch_size else "; --batch-size exports it for batches of one size"
    return f"the network cannot be exported: {reason} (FJDL_TRACEBACK=1 shows where){remedy}"
