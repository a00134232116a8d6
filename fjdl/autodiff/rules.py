"""The nodes of a computation graph: what each computes, and its vector–Jacobian product."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from fjdl.typing import Array


class Operation(NamedTuple):
    """One kind of node.

    `backward(upstream, output, *inputs)` gives one cotangent per input: the upstream gradient times the local one.
    The tape sums a cotangent over the axes along which its input was repeated.
    """

    name: str
    forward: Callable[..., Array]
    backward: Callable[..., tuple[Array, ...]]


def elementwise(name: str, forward: Callable[..., Array], backward: Callable[..., tuple[Array, ...]]) -> Operation:
    """The operation of two inputs that are repeated to one shape first."""

    def repeated(*inputs: Array) -> tuple[Array, ...]:
        return tuple(jnp.broadcast_arrays(*inputs))

    return Operation(
        name,
        lambda x, y: forward(*repeated(x, y)),
        lambda g, out, x, y: backward(g, out, *repeated(x, y)),
    )


def _maximum_backward(g: Array, out: Array, x: Array, y: Array) -> tuple[Array, Array]:
    """All to the larger input, half to each of two equal ones."""
    share = jnp.where(x == y, 0.5, (x > y).astype(out.dtype))
    return g * share, g * (1 - share)


add = elementwise("+", jnp.add, lambda g, out, x, y: (g, g))
subtract = elementwise("−", jnp.subtract, lambda g, out, x, y: (g, -g))
multiply = elementwise("×", jnp.multiply, lambda g, out, x, y: (g * y, g * x))
divide = elementwise("÷", jnp.divide, lambda g, out, x, y: (g / y, -g * out / y))
maximum = elementwise("max", jnp.maximum, _maximum_backward)
identity = Operation("identity", lambda x: x, lambda g, out, x: (g,))
negative = Operation("negative", jnp.negative, lambda g, out, x: (-g,))
square = Operation("( )²", jnp.square, lambda g, out, x: (2 * x * g,))
exp = Operation("exp", jnp.exp, lambda g, out, x: (g * out,))
log = Operation("log", jnp.log, lambda g, out, x: (g / x,))
sin = Operation("sin", jnp.sin, lambda g, out, x: (g * jnp.cos(x),))
cos = Operation("cos", jnp.cos, lambda g, out, x: (-g * jnp.sin(x),))
tanh = Operation("tanh", jnp.tanh, lambda g, out, x: (g * (1 - out * out),))
sigmoid = Operation("σ", jax.lax.logistic, lambda g, out, x: (g * out * (1 - out),))
relu = Operation("relu", lambda x: jnp.where(x > 0, x, 0), lambda g, out, x: (jnp.where(x > 0, g, 0),))


def _softmax_backward(g: Array, out: Array, x: Array) -> tuple[Array]:
    """`aᵢ (gᵢ - gᵀa)`: the Jacobian has `aᵢ (1 - aᵢ)` only on its diagonal, and `-aᵢ aⱼ` off it."""
    return (out * (g - jnp.sum(g * out, axis=-1, keepdims=True)),)


def _matmul_backward(g: Array, out: Array, x: Array, y: Array) -> tuple[Array, Array]:
    return g @ y.T, x.T @ g


softmax = Operation("softmax", lambda x: jax.nn.softmax(x, axis=-1), _softmax_backward)
matmul = Operation("@", jnp.matmul, _matmul_backward)
total = Operation("Σ", jnp.sum, lambda g, out, x: (jnp.broadcast_to(g, x.shape),))
average = Operation("mean", jnp.mean, lambda g, out, x: (jnp.broadcast_to(g / x.size, x.shape),))
