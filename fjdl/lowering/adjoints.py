"""Linear functions of many arrays whose transpose has a form of its own on a CPU.

The transpose is an operation too, whose transpose is the function again. Both are linear in the first of their
arguments, and their derivatives by what is known beside it are those that JAX finds, so all orders follow.
"""

import functools
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from fjdl.lowering.bilinear import at_precision, precision_here
from fjdl.meshes import alike, varying, varying_axes
from fjdl.typing import PyTree

Function = Callable[..., Any]


def linear(name: str, function: Function, *, like: Function, back: Function) -> Function:
    """`function(linear, known, **static)`, whose transpose on a CPU is `back(cotangents, known, **static)`.

    `cotangents` have the structure of the result, with None where they are 0; `back` returns those of `linear`, or None
    where it has no form for the cotangents that it was given. `like(known, **static)` has the shapes and dtypes of
    `linear`.
    """
    forth, transposed = Primitive(name), Primitive(f"{name}_transposed")
    rules: tuple[Any, ...] = (
        partial(_ahead, function),
        partial(_behind, function, like),
        partial(_behind_on_cpu, function, like, back),
    )
    ahead, behind, behind_on_cpu = map(at_precision, rules)
    _define(forth, ahead)
    _define(transposed, behind, on_cpu=behind_on_cpu)
    ad.primitive_jvps[forth] = partial(_moved, forth, ahead)
    ad.primitive_jvps[transposed] = partial(_moved, transposed, behind)
    ad.primitive_transposes[forth] = partial(_transposed_ahead, transposed)
    ad.primitive_transposes[transposed] = partial(_transposed_behind, forth)

    def operation(linear: PyTree, known: PyTree, **static: Any) -> PyTree:
        leaves, tree = jax.tree.flatten((linear, known))
        result = jax.tree.structure(jax.eval_shape(partial(function, **static), linear, known))
        wanted = (True,) * result.num_leaves
        fixed = {"tree": tree, "result": result, "static": tuple(static.items()), "precision": precision_here()}
        return jax.tree.unflatten(result, forth.bind(*alike(*leaves), wanted=wanted, **fixed))

    return operation


def _ahead(function: Function, *leaves: Any, tree: Any, static: Any, wanted: tuple[bool, ...], **_: Any) -> list[Any]:
    """Those leaves of the result that are wanted."""
    outs = jax.tree.leaves(function(*jax.tree.unflatten(tree, leaves), **dict(static)))
    return [out for out, kept in zip(outs, wanted, strict=True) if kept]


def _behind(function: Function, like: Function, *leaves: Any, wanted: tuple[bool, ...], **fixed: Any) -> list[Any]:
    """The cotangents of all linear leaves, from those of the leaves of the result that were wanted."""
    cotangents, known = leaves[: sum(wanted)], leaves[sum(wanted) :]
    shapes = jax.tree.leaves(like(jax.tree.unflatten(fixed["tree"].children()[1], known), **dict(fixed["static"])))
    axes = varying_axes(leaves)
    operands = [varying(jnp.zeros(shape.shape, shape.dtype), axes) for shape in shapes]
    ahead = jax.linear_transpose(lambda *linear: _ahead(function, *linear, *known, wanted=wanted, **fixed), *operands)
    return list(ahead(list(cotangents)))


def _behind_on_cpu(
    function: Function, like: Function, back: Function, *leaves: Any, wanted: tuple[bool, ...], **fixed: Any
) -> list[Any]:
    given = iter(leaves[: sum(wanted)])
    cotangents = jax.tree.unflatten(fixed["result"], [next(given) if kept else None for kept in wanted])
    known = jax.tree.unflatten(fixed["tree"].children()[1], leaves[sum(wanted) :])
    found = back(cotangents, known, **dict(fixed["static"]))
    return _behind(function, like, *leaves, wanted=wanted, **fixed) if found is None else jax.tree.leaves(found)


def _moved(primitive: Primitive, plain: Function, primals: Any, tangents: Any, **fixed: Any) -> tuple[Any, Any]:
    """The derivative by the linear leaves is the operation itself, that by the known ones what JAX makes of it."""
    outs = primitive.bind(*primals, **fixed)
    known = fixed["tree"].children()[1].num_leaves
    first, parts = len(primals) - known, []
    if any(type(tangent) is not ad.Zero for tangent in tangents[:first]):
        along = [ad.instantiate_zeros(tangent) for tangent in tangents[:first]]
        parts.append(primitive.bind(*alike(*along, *primals[first:]), **fixed))
    moving = [number for number in range(first, len(primals)) if type(tangents[number]) is not ad.Zero]
    if moving:
        parts.append(_along(partial(plain, **fixed), primals, tangents, moving))
    return outs, [functools.reduce(jnp.add, terms) for terms in zip(*parts, strict=True)]


def _along(plain: Function, primals: Any, tangents: Any, moving: list[int]) -> list[Any]:
    def function(*changed: Any) -> list[Any]:
        values = dict(zip(moving, changed, strict=True))
        return plain(*(values.get(number, primal) for number, primal in enumerate(primals)))

    return jax.jvp(function, [primals[number] for number in moving], [tangents[number] for number in moving])[1]


def _transposed_ahead(
    transposed: Primitive, cotangents: Any, *args: Any, wanted: tuple[bool, ...], **fixed: Any
) -> Any:
    first = len(args) - fixed["tree"].children()[1].num_leaves
    given = iter(cotangents)
    all_of_them: list[Any] = [next(given) if kept else None for kept in wanted]
    kept = tuple(not (ct is None or isinstance(ct, ad.Zero)) for ct in all_of_them)
    if not any(kept):
        return [ad.Zero(a.aval) if ad.is_undefined_primal(a) else None for a in args]
    some = [ct for ct, is_kept in zip(all_of_them, kept, strict=True) if is_kept]
    found = transposed.bind(*alike(*some, *args[first:]), wanted=kept, **fixed)
    return _of_undefined(found, args)


def _transposed_behind(forth: Primitive, cotangents: Any, *args: Any, **fixed: Any) -> Any:
    first = len(args) - fixed["tree"].children()[1].num_leaves
    found = forth.bind(*alike(*map(ad.instantiate_zeros, cotangents), *args[first:]), **fixed)
    return _of_undefined(found, args)


def _of_undefined(found: list[Any], args: Any) -> list[Any]:
    """The cotangents found for the first arguments, where these are not known."""
    filled = (*found, *(None,) * (len(args) - len(found)))
    return [ct if ad.is_undefined_primal(a) else None for ct, a in zip(filled, args, strict=True)]


def _define(primitive: Primitive, plain: Function, *, on_cpu: Function | None = None) -> None:
    """Evaluation, shapes, batching and lowering."""
    primitive.multiple_results = True

    @functools.cache
    def compiled(**static: Any) -> Function:
        return jax.jit(partial(primitive.bind, **static))

    def batch(args: Any, axes: Any, **static: Any) -> Any:
        outs = jax.vmap(partial(plain, **static), in_axes=tuple(axes))(*args)
        return outs, [0] * len(outs)

    primitive.def_impl(lambda *args, **static: compiled(**static)(*args))
    primitive.def_abstract_eval(lambda *args, **static: jax.make_jaxpr(partial(plain, **static))(*args).out_avals)
    batching.primitive_batchers[primitive] = batch
    mlir.register_lowering(primitive, mlir.lower_fun(plain, multiple_results=True))
    if on_cpu is not None:
        mlir.register_lowering(primitive, mlir.lower_fun(on_cpu, multiple_results=True), platform="cpu")
