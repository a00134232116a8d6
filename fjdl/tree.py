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

from fjdl.numerics import squared_modulus, widened
from fjdl.typing import PyTree, Scalar


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
    """Euclidean norm over all leaves in float32 or wider, scaled by the largest entry so that 1e30 does not overflow.

    Complex entries count by their modulus. The gradient at an all-zero tree is 0; a NaN or an infinity anywhere makes
    the norm non-finite.

    >>> global_norm({"a": jnp.array([3.0]), "b": jnp.array([4.0])})
    Array(5., dtype=float32)
    """
    leaves = [widened(leaf) for leaf in jax.tree.leaves(tree)]
    if not leaves:
        return jnp.zeros(())
    largest = reduce(jnp.maximum, [jnp.max(jnp.abs(leaf), initial=0.0) for leaf in leaves])
    scale = jax.lax.stop_gradient(jnp.where((largest > 0) & jnp.isfinite(largest), largest, jnp.ones_like(largest)))
    total = reduce(jnp.add, [jnp.sum(squared_modulus(leaf / scale)) for leaf in leaves])
    zero = total == 0
    return jnp.where(zero, jnp.zeros_like(total), scale * jnp.sqrt(jnp.where(zero, jnp.ones_like(total), total)))


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
    """Bytes of all leaves as they are stored: integers of fewer than 8 bits, quantized ones too, take whole bytes."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def digest(tree: PyTree) -> str:
    """sha256 over path, dtype, shape and bytes of every leaf: equal exactly when two trees are bitwise equal."""
    total = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array = np.asarray(jax.device_get(leaf))
        total.update(f"{whole_name(path)} {array.dtype} {array.shape};".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()
