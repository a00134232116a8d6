"""The loss along a line of parameters, as line searches see it."""

from collections.abc import Callable
from functools import reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fjdl.numerics import real, wide, widened
from fjdl.optim.base import like
from fjdl.typing import Array, PyTree, Scalar

ValueFn = Callable[[PyTree], Array]  # of parameters like those passed, in float32 or wider


class Point(NamedTuple):
    """A point of the line w + t u."""

    size: Scalar  # t
    value: Scalar
    slope: Scalar  # derivative along the line


def values_along(value_fn: ValueFn, params: PyTree, direction: PyTree) -> Callable[[Scalar], Scalar]:
    """t to the loss at w + t u, in the dtype of t."""
    return lambda size: jnp.asarray(value_fn(_moved(params, direction, size))).astype(size.dtype)


def points_along(value_fn: ValueFn, params: PyTree, direction: PyTree) -> Callable[[Scalar], tuple[Point, PyTree]]:
    """t to the point at w + t u and the gradient there."""

    def line(size: Scalar) -> tuple[Point, PyTree]:
        value, gradient = jax.value_and_grad(value_fn)(_moved(params, direction, size))
        slope = _slope(gradient, direction).astype(size.dtype)
        return Point(size, value.astype(size.dtype), slope), gradient

    return line


def start_of(
    value_fn: ValueFn, params: PyTree, direction: PyTree, value: Array | None, grad: PyTree
) -> tuple[Point, PyTree]:
    """The line at t = 0, and the gradient there."""
    if value is None or grad is None:
        value, grad = jax.value_and_grad(value_fn)(params)
    dtype, gradient = widest(params), jax.tree.map(widened, grad)
    value = jnp.asarray(value).astype(dtype)
    return Point(jnp.zeros((), dtype), value, _slope(gradient, direction).astype(dtype)), gradient


def scaled(updates: PyTree, size: Scalar) -> PyTree:
    """u · t, and 0 for t = 0 though u be not finite."""
    return jax.tree.map(lambda u: jnp.where(size == 0, jnp.zeros_like(u), like(size, u) * u), updates)


def inner(a: PyTree, b: PyTree) -> Scalar:
    """The inner product of two trees of the same form, summed in float32 or wider; of complex ones its real part."""
    dtype = widest(a)
    products = jax.tree.map(lambda x, y: jnp.sum(jnp.real(jnp.conj(widened(x)) * widened(y))).astype(dtype), a, b)
    return reduce(jnp.add, jax.tree.leaves(products), jnp.zeros((), dtype))


def widest(tree: PyTree) -> DTypeLike:
    """float64 where a leaf is, or complex128, else float32."""
    return max(
        (real(wide(jnp.result_type(leaf))) for leaf in jax.tree.leaves(tree)),
        key=lambda d: d.itemsize,
        default=wide(jnp.float32),
    )


def _slope(gradient: PyTree, direction: PyTree) -> Scalar:
    """The derivative along u; the gradient of JAX is that of descent conjugated."""
    return inner(jax.tree.map(jnp.conj, gradient), direction)


def _moved(params: PyTree, direction: PyTree, size: Scalar) -> PyTree:
    return jax.tree.map(lambda w, u: w + like(size, u) * u, params, direction)
