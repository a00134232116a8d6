"""Functions of whole parameter trees: norm, count, bytes, names, selection by path."""

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from fjdl.numerics import squared_modulus, widened
from fjdl.typing import Array, PyTree, Scalar


def names(tree: PyTree) -> list[str]:
    """The `/`-joined path of every leaf, in the order of `jax.tree.leaves`, see `name`."""
    return [name(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]


def name(path: tuple[Any, ...]) -> str:
    """One path of `jax.tree_util` as `params/conv1/kernel`.

    The attribute `value` at its end is left out: it belongs to a box around the array, such as `flax.nnx.Param` and
    `flax.linen.Partitioned`, and not to the parameter. A key "value" of a dictionary is a name like others.
    """
    boxed = path and path[-1] == jax.tree_util.GetAttrKey("value")
    return whole_name(path[:-1] if boxed else path)


def whole_name(path: tuple[Any, ...]) -> str:
    """One path of `jax.tree_util` with every attribute in it, as checkpoints and `digest` have it."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def map_named(function: Callable[..., Any], tree: PyTree, *rest: PyTree) -> PyTree:
    """`jax.tree.map` whose function receives the leaf's name first."""
    return jax.tree_util.tree_map_with_path(lambda path, *leaves: function(name(path), *leaves), tree, *rest)


def select(tree: PyTree, rules: Sequence[tuple[str, Any]]) -> PyTree:
    """The value of the first rule `(regex, value)` that matches each leaf's whole path.

    A misspelt rule cannot pass silently. Raises `ValueError` naming the leaves that no rule covers, and the rules that
    match no leaf, unless there is none to match or the rule is as general as `.*`, which matches the empty path too.
    """
    compiled = [(re.compile(pattern), value) for pattern, value in rules]
    paths = names(tree)
    uncovered = [path for path in paths if not any(pattern.fullmatch(path) for pattern, _ in compiled)]
    if uncovered:
        raise ValueError(
            f"every leaf must match a rule of {[pattern for pattern, _ in rules]}, but none matches {uncovered}"
        )
    idle = [pattern.pattern for pattern, _ in compiled if not any(map(pattern.fullmatch, ["", *paths]))]
    if paths and idle:
        raise ValueError(f"every rule must match a leaf, but {idle} match none of {paths}")
    return map_named(lambda path, _: next(value for pattern, value in compiled if pattern.fullmatch(path)), tree)


def global_norm(tree: PyTree) -> Scalar:
    """Euclidean norm over all leaves in float32 or wider; it neither overflows at 1e30 nor vanishes at 1e-30.

    Complex entries count by their modulus. The gradient is `leaf / norm`, and 0 at an all-zero tree; a NaN or an
    infinity anywhere makes the norm non-finite. CPUs divide by the largest entry before they square. Other platforms
    read every leaf once, as they pay for each pass over a small one: they square entries as they are, divided by a
    great power of two, and multiplied by it, and take the sum that fits (Blue 1978, doi:10.1145/355769.355771).

    >>> global_norm({"a": jnp.array([3.0]), "b": jnp.array([4.0])})
    Array(5., dtype=float32)
    """
    leaves = [widened(leaf) for leaf in jax.tree.leaves(tree)]
    return _norm(leaves) if leaves else jnp.zeros(())


@jax.custom_jvp
def _norm(leaves: list[Array]) -> Scalar:
    return lax.platform_dependent(leaves, cpu=norm_in_two_passes, default=norm_in_one_pass)


@_norm.defjvp
def _slope(primals: tuple[list[Array]], tangents: tuple[list[Array]]) -> tuple[Scalar, Scalar]:
    (leaves,), (moves,) = primals, tangents
    norm = _norm(leaves)
    length = jnp.where(norm == 0, jnp.ones_like(norm), norm)
    return norm, reduce(jnp.add, [_product(leaf / length, move) for leaf, move in zip(leaves, moves, strict=True)])


def _product(x: Array, y: Array) -> Scalar:
    """The inner product of two arrays, of complex ones as vectors of real numbers."""
    return jnp.sum(x.real * y.real + x.imag * y.imag if jnp.iscomplexobj(x) else x * y)


def _far(dtype: jax.typing.DTypeLike) -> float:
    """2^80 in float32: no square of a number that is divided by it overflows, no one that is multiplied vanishes."""
    return 2.0 ** (jnp.finfo(dtype).maxexp * 5 // 8)


def norm_in_two_passes(leaves: list[Array]) -> Scalar:
    """The norm by the squares of what is left after division by the largest entry."""
    largest = reduce(jnp.maximum, [jnp.max(jnp.abs(leaf), initial=0.0) for leaf in leaves])
    far = _far(largest.dtype)  # the inverse of a greater one is 0, where numbers below the normal ones are
    scale = jnp.clip(largest, 1 / far, far)
    total = reduce(jnp.add, [jnp.sum(squared_modulus(leaf / scale)) for leaf in leaves])
    return scale * jnp.sqrt(total)


def norm_in_one_pass(leaves: list[Array]) -> Scalar:
    """The norm by three sums of squares, of which one fits; leaves of one shape are read together."""
    parts = [part for leaf in leaves for part in ((leaf.real, leaf.imag) if jnp.iscomplexobj(leaf) else (leaf,))]
    dtype = jnp.result_type(*parts)
    info, far = jnp.finfo(dtype), _far(dtype)
    least = sum(part.size for part in parts) * float(info.tiny / info.eps)
    alike: dict[tuple[int, ...], list[Array]] = {}
    for part in parts:
        alike.setdefault(part.shape, []).append(part.astype(dtype))

    def total(change: Callable[[Array], Array]) -> Scalar:
        squares = [[jnp.square(change(part)) for part in group] for group in alike.values()]
        return reduce(jnp.add, [jnp.sum(reduce(jnp.add, group)) for group in squares])

    # XLA may turn (c x) (c x) into (c c) (x x), but not where a choice stands between; entries left out count nothing
    plain = total(lambda x: x)
    great = total(lambda x: jnp.where(jnp.abs(x) <= 1, 0, x / far))
    small = total(lambda x: jnp.where(jnp.abs(x) >= 1, 0, x * far))
    extreme = jnp.where(plain > 1, far * jnp.sqrt(great), jnp.sqrt(small) / far)
    return jnp.where(jnp.isfinite(plain) & (plain >= least), jnp.sqrt(plain), extreme)


def cast(tree: PyTree, dtype: jax.typing.DTypeLike) -> PyTree:
    """The tree with its floating-point leaves in `dtype`; other leaves stay as they are."""
    return jax.tree.map(lambda x: x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)


def count(tree: PyTree) -> int:
    """Number of scalars in all leaves.

    >>> count({"kernel": jnp.ones((3, 2)), "bias": jnp.ones(2)})
    8
    """
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def size_in_bytes(tree: PyTree) -> int:
    """Bytes of all leaves as a CPU stores them and a file does; JAX's int4 and int2 take whole bytes there.

    Integers that `fjdl.quant` has packed take the bytes that they are packed in.
    """
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def digest(tree: PyTree) -> str:
    """sha256 over path, dtype, shape and bytes of every leaf: equal exactly when two trees are bitwise equal."""
    total = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.asarray(jax.device_get(leaf))
        total.update(f"{whole_name(path)} {array.dtype} {array.shape};".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()
