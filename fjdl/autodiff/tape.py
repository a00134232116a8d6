"""A small tape: reverse-mode differentiation of what was computed with variables (Linnainmaa 1970)."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp

from fjdl.autodiff import rules
from fjdl.autodiff.rules import Operation
from fjdl.typing import Array

_ORDER = itertools.count()


class Variable:
    """A value that knows how it was computed: the operation and the variables that went in.

    Arithmetic on variables computes at once and records. Values may be traced, so a function of variables works
    under `jax.jit` and `jax.vmap`.
    """

    def __init__(
        self, value: Any, *, name: str = "", operation: Operation | None = None, parents: tuple["Variable", ...] = ()
    ) -> None:
        self.value = jnp.asarray(value)
        self.name = name
        self.operation = operation
        self.parents = parents
        self.order = next(_ORDER)

    def __add__(self, other: Any) -> "Variable":
        return record(rules.add, self, other)

    def __sub__(self, other: Any) -> "Variable":
        return record(rules.subtract, self, other)

    def __mul__(self, other: Any) -> "Variable":
        return record(rules.multiply, self, other)

    def __truediv__(self, other: Any) -> "Variable":
        return record(rules.divide, self, other)

    def __radd__(self, other: Any) -> "Variable":
        return record(rules.add, other, self)

    def __rsub__(self, other: Any) -> "Variable":
        return record(rules.subtract, other, self)

    def __rmul__(self, other: Any) -> "Variable":
        return record(rules.multiply, other, self)

    def __rtruediv__(self, other: Any) -> "Variable":
        return record(rules.divide, other, self)

    def __matmul__(self, other: Any) -> "Variable":
        return record(rules.matmul, self, other)

    def __neg__(self) -> "Variable":
        return record(rules.negative, self)


def record(operation: Operation, *inputs: Any) -> Variable:
    """Computes the operation on variables or plain numbers and remembers both: the forward pass of one node."""
    parents = tuple(x if isinstance(x, Variable) else Variable(x) for x in inputs)
    return Variable(operation.forward(*(p.value for p in parents)), operation=operation, parents=parents)


def history(output: Variable) -> list[Variable]:
    """Every variable that `output` was computed from, and itself, in the order of their computation."""
    found: dict[int, Variable] = {}
    waiting = [output]
    while waiting:
        variable = waiting.pop()
        if variable.order not in found:
            found[variable.order] = variable
            waiting.extend(variable.parents)
    return [found[order] for order in sorted(found)]


def gradients(output: Variable, *, upstream: Any = 1.0) -> dict[Variable, Array]:
    """The gradient of `upstream · output` with respect to every variable of its history: the backward pass.

    Walks the history from its end. Each node multiplies the upstream gradient by its local one, and a variable that
    branched into several nodes receives the sum.
    """
    total = {output: jnp.broadcast_to(jnp.asarray(upstream, output.value.dtype), output.value.shape)}
    for variable in reversed(history(output)):
        for parent, cotangent in _cotangents(variable, total[variable]):
            total[parent] = total[parent] + cotangent if parent in total else cotangent
    return total


def _cotangents(variable: Variable, upstream: Array) -> Iterator[tuple[Variable, Array]]:
    if variable.operation is None:
        return
    values = [parent.value for parent in variable.parents]
    for parent, cotangent in zip(
        variable.parents, variable.operation.backward(upstream, variable.value, *values), strict=True
    ):
        yield parent, _summed_to(parent.value.shape, cotangent)


def _summed_to(shape: tuple[int, ...], cotangent: Array) -> Array:
    """The cotangent of an input that was broadcast: summed over the axes along which it was repeated."""
    cotangent = jnp.sum(cotangent, axis=tuple(range(cotangent.ndim - len(shape))))
    repeated = tuple(i for i, (n, m) in enumerate(zip(shape, cotangent.shape, strict=True)) if n == 1 and m != 1)
    return jnp.sum(cotangent, axis=repeated, keepdims=True)


def vjp(function: Callable[..., Variable], *arguments: Any) -> tuple[Array, Callable[[Any], tuple[Array, ...]]]:
    """The value of a function of variables, and the map from an upstream gradient to one gradient per argument.

    Equals `jax.vjp`. A single run of the function serves every upstream gradient.
    """
    variables = [Variable(argument) for argument in arguments]
    output = function(*variables)

    def pull(upstream: Any) -> tuple[Array, ...]:
        found = gradients(output, upstream=upstream)
        return tuple(found.get(variable, jnp.zeros_like(variable.value)) for variable in variables)

    return output.value, pull


def grad(function: Callable[..., Variable]) -> Callable[..., tuple[Array, ...]]:
    """The function that gives one gradient per argument of a scalar function of variables; equals `jax.grad`.

    Raises `ValueError` where the output is not a scalar.
    """

    def gradient(*arguments: Any) -> tuple[Array, ...]:
        value, pull = vjp(function, *arguments)
        if value.shape != ():
            raise ValueError(f"the output of the function must be a scalar, got an array of shape {value.shape}")
        return pull(1.0)

    return gradient
