"""Arrays on the axes of a mesh: over which of them a value varies inside `jax.shard_map`, and loops that keep track.

Inside `shard_map` a value is the same along an axis of the mesh or varies over it, and this is part of its type. JAX
brings the operands of its own functions to one type; those of our own primitives, of linear functions that are
transposed and of loops, whose carry must come out as it went in, are brought to one type here.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import DTypeLike

from fjdl.typing import Array, PyTree

Carry = TypeVar("Carry")
Result = TypeVar("Result")


def varying_axes(tree: PyTree) -> frozenset[str]:
    """Names of the axes over which any leaf varies; none outside of `shard_map`, and where it checks nothing."""
    return frozenset().union(*(jax.typeof(leaf).manual_axis_type.varying for leaf in jax.tree.leaves(tree)))


def varying(tree: PyTree, axes: frozenset[str]) -> PyTree:
    """The same values, every leaf varying over `axes` too; its gradient is summed over those that are new."""

    def cast(leaf: Array) -> Array:
        new = axes - varying_axes(leaf)
        return lax.pcast(leaf, tuple(sorted(new)), to="varying") if new else leaf

    return jax.tree.map(cast, tree) if axes else tree


def alike(*operands: Array) -> tuple[Array, ...]:
    """The operands, each varying over every axis over which any of them does."""
    return varying(operands, varying_axes(operands))


def adjoint(function: Callable[[Array], Array], cotangent: Array, *, shape: tuple[int, ...], dtype: DTypeLike) -> Array:
    """What a linear `function` of an array of this shape and dtype, transposed, makes of `cotangent`.

    What `function` holds varies over no other axes than `cotangent` does.
    """
    axes = varying_axes(cotangent)
    operand = varying(jnp.zeros(shape, dtype), axes) if axes else jax.ShapeDtypeStruct(shape, dtype)
    return jax.linear_transpose(function, operand)(cotangent)[0]


def scan(
    body: Callable[[Carry, Any], tuple[Carry, Any]],
    init: Carry,
    xs: PyTree = None,
    *,
    length: int | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> tuple[Carry, PyTree]:
    """`jax.lax.scan`, whose carry varies from the start over all axes over which `body` makes it vary."""

    def after_one(carry: Carry) -> Carry:
        return lax.scan(lambda _, x: (None, body(carry, x)[0]), None, xs, length=length)[1]

    def step(carry: Carry, x: Any) -> tuple[Carry, Any]:
        after, y = body(carry, x)
        return _varying_as(carry, after), y

    return lax.scan(step, _settled(after_one, init), xs, length=length, reverse=reverse, unroll=unroll)


def while_loop(unfinished: Callable[[Carry], Array], body: Callable[[Carry], Carry], init: Carry) -> Carry:
    """`jax.lax.while_loop`, whose carry varies from the start over all axes over which `body` makes it vary.

    So it does over those over which the number of rounds varies, which JAX does not see to.
    """

    def after_one(carry: Carry) -> Carry:
        return varying(body(carry), varying_axes(unfinished(carry)))

    return lax.while_loop(unfinished, lambda carry: _varying_as(carry, body(carry)), _settled(after_one, init))


def fori_loop(lower: int, upper: int, body: Callable[[Any, Carry], Carry], init: Carry) -> Carry:
    """`jax.lax.fori_loop`, whose carry varies from the start over all axes over which `body` makes it vary."""
    start = _settled(lambda carry: body(lower, carry), init)
    return lax.fori_loop(lower, upper, lambda i, carry: _varying_as(carry, body(i, carry)), start)


def switch(index: Array, branches: Sequence[Callable[..., Result]], *operands: Any) -> Result:
    """`jax.lax.switch`, whose results vary over the axes over which that of any branch does, or the choice."""
    if not _manual():
        return lax.switch(index, branches, *operands)
    results = [jax.eval_shape(branch, *operands) for branch in branches]
    axes = jax.tree.map(lambda *leaves: varying_axes(leaves) | varying_axes(index), *results)
    agreeing = [lambda *args, branch=branch: jax.tree.map(varying, branch(*args), axes) for branch in branches]
    return lax.switch(index, agreeing, *operands)


def cond(holds: Array, true: Callable[..., Result], false: Callable[..., Result], *operands: Any) -> Result:
    """`jax.lax.cond`, whose results vary over the axes over which that of either branch does, or the choice."""
    if not _manual():
        return lax.cond(holds, true, false, *operands)
    return switch(jnp.asarray(holds).astype(jnp.int32), (false, true), *operands)


def _manual() -> bool:
    """Whether this is traced inside of `shard_map`."""
    return bool(jax.sharding.get_abstract_mesh().manual_axes)


def _settled(step: Callable[[Carry], Carry], carry: Carry) -> Carry:
    """The carry, each leaf varying over the axes over which it varies after so many steps that no new ones come."""
    if not _manual():
        return carry
    while True:
        further = _varying_as(jax.eval_shape(step, carry), carry)
        if jax.tree.map(varying_axes, further) == jax.tree.map(varying_axes, carry):
            return carry
        carry = further


def _varying_as(pattern: PyTree, tree: Carry) -> Carry:
    """The tree, each leaf varying over the axes of its counterpart in `pattern` too."""
    return jax.tree.map(lambda like, leaf: varying(leaf, varying_axes(like)), pattern, tree)
