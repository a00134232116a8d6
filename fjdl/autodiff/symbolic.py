"""Symbolic differentiation: rules that rewrite an expression tree into the tree of its derivative."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fjdl.checks import within
from fjdl.typing import Array


class Expression:
    """A formula; operators build larger ones."""

    def __add__(self, other: Any) -> "Expression":
        return add(self, expression(other))

    def __radd__(self, other: Any) -> "Expression":
        return add(expression(other), self)

    def __sub__(self, other: Any) -> "Expression":
        return add(self, multiply(Constant(-1.0), expression(other)))

    def __rsub__(self, other: Any) -> "Expression":
        return expression(other) - self

    def __mul__(self, other: Any) -> "Expression":
        return multiply(self, expression(other))

    def __rmul__(self, other: Any) -> "Expression":
        return multiply(expression(other), self)

    def __truediv__(self, other: Any) -> "Expression":
        return multiply(self, power(expression(other), -1.0))

    def __rtruediv__(self, other: Any) -> "Expression":
        return expression(other) / self

    def __neg__(self) -> "Expression":
        return multiply(Constant(-1.0), self)

    def __pow__(self, exponent: float) -> "Expression":
        return power(self, exponent)


@dataclasses.dataclass(frozen=True)
class Constant(Expression):
    """A number."""

    value: float

    def __str__(self) -> str:
        return f"{self.value:g}"


@dataclasses.dataclass(frozen=True)
class Symbol(Expression):
    """A variable by its name."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclasses.dataclass(frozen=True)
class Sum(Expression):
    """`left + right`."""

    left: Expression
    right: Expression

    def __str__(self) -> str:
        right = f"{self.right}"
        return f"{self.left} - {right[1:]}" if right.startswith("-") else f"{self.left} + {right}"


@dataclasses.dataclass(frozen=True)
class Product(Expression):
    """`left · right`."""

    left: Expression
    right: Expression

    def __str__(self) -> str:
        sign = "-" if self.left == Constant(-1.0) else f"{_factor(self.left)}·"
        return f"{sign}{_factor(self.right)}"


@dataclasses.dataclass(frozen=True)
class Power(Expression):
    """`base` to a constant exponent."""

    base: Expression
    exponent: float

    def __str__(self) -> str:
        base = f"({self.base})" if isinstance(self.base, Sum | Product | Power) else f"{self.base}"
        return f"{base}^{self.exponent:g}"


class Function(NamedTuple):
    """A function of one argument: how to compute it, and the expression of its derivative."""

    name: str
    compute: Callable[[Array], Array]
    derivative: Callable[[Expression], Expression]

    def __call__(self, argument: Any) -> Expression:  # type: ignore[override]
        """The expression of this function at `argument`."""
        return Call(self, expression(argument))


@dataclasses.dataclass(frozen=True)
class Call(Expression):
    """A function of an expression."""

    function: Function
    argument: Expression

    def __str__(self) -> str:
        return f"{self.function.name}({self.argument})"


exp = Function("exp", jnp.exp, lambda x: exp(x))
log = Function("log", jnp.log, lambda x: power(x, -1.0))
sin = Function("sin", jnp.sin, lambda x: cos(x))
cos = Function("cos", jnp.cos, lambda x: -sin(x))
tanh = Function("tanh", jnp.tanh, lambda x: 1 - tanh(x) ** 2)
sigmoid = Function("σ", jax.lax.logistic, lambda x: sigmoid(x) * (1 - sigmoid(x)))


def expression(x: Any) -> Expression:
    """`x` itself, or the constant of a number."""
    return x if isinstance(x, Expression) else Constant(float(x))


def add(left: Expression, right: Expression) -> Expression:
    """`left + right`, without zeros and with constants folded."""
    if isinstance(left, Constant) and isinstance(right, Constant):
        return Constant(left.value + right.value)
    if left == Constant(0.0):
        return right
    return left if right == Constant(0.0) else Sum(left, right)


def multiply(left: Expression, right: Expression) -> Expression:
    """`left · right`, without ones, 0 where a factor is 0, the constants folded to the front."""
    if isinstance(right, Constant):
        left, right = right, left
    if isinstance(left, Constant):
        if isinstance(right, Constant):
            return Constant(left.value * right.value)
        if isinstance(right, Product) and isinstance(right.left, Constant):
            return multiply(Constant(left.value * right.left.value), right.right)
        if left.value in (0.0, 1.0):
            return right if left.value else Constant(0.0)
    return Product(left, right)


def power(base: Expression, exponent: float) -> Expression:
    """`base` to a constant exponent; 1 where that is 0."""
    if exponent in (0.0, 1.0):
        return base if exponent else Constant(1.0)
    if isinstance(base, Power):
        return power(base.base, base.exponent * exponent) if _merges(base.exponent, exponent) else Power(base, exponent)
    return Constant(base.value**exponent) if isinstance(base, Constant) and base.value != 0 else Power(base, exponent)


def diff(formula: Expression, symbol: Symbol, *, order: int = 1) -> Expression:
    """The `order`-th derivative with respect to `symbol`, as an expression: sum, product, power and chain rule."""
    within("[0, inf]", order=order)
    for _ in range(order):
        formula = _diff(formula, symbol)
    return formula


def _diff(formula: Expression, symbol: Symbol) -> Expression:
    match formula:
        case Symbol():
            return Constant(1.0 if formula == symbol else 0.0)
        case Sum(left, right):
            return add(_diff(left, symbol), _diff(right, symbol))
        case Product(left, right):
            return add(multiply(_diff(left, symbol), right), multiply(left, _diff(right, symbol)))
        case Power(base, exponent):
            outer = multiply(Constant(exponent), power(base, exponent - 1))
            return multiply(outer, _diff(base, symbol))
        case Call(function, argument):
            return multiply(function.derivative(argument), _diff(argument, symbol))
    return Constant(0.0)


def evaluate(formula: Expression, values: dict[str, Any]) -> Array:
    """The value of the formula at the symbols' values, which may be arrays or traced.

    Raises `ValueError` that names a symbol without a value.
    """
    match formula:
        case Constant(value):
            return jnp.asarray(value)
        case Symbol(name):
            if name not in values:
                raise ValueError(f"every symbol must have a value, got none for {name!r}")
            return jnp.asarray(values[name])
        case Sum(left, right):
            return evaluate(left, values) + evaluate(right, values)
        case Product(left, right):
            return evaluate(left, values) * evaluate(right, values)
        case Power(base, exponent):
            return evaluate(base, values) ** _whole(exponent)
        case Call(function, argument):
            return function.compute(evaluate(argument, values))
    raise ValueError(f"formula must be an expression, got {type(formula).__name__}")


def size(formula: Expression) -> int:
    """Number of nodes of the tree; derivatives of nested products grow faster than the formula does."""
    children = (getattr(formula, name, None) for name in ("left", "right", "base", "argument"))
    return 1 + sum(size(child) for child in children if isinstance(child, Expression))


def _factor(formula: Expression) -> str:
    return f"({formula})" if isinstance(formula, Sum) else f"{formula}"


def _whole(exponent: float) -> float | int:
    return int(exponent) if exponent == int(exponent) else exponent


def _merges(inner: float, outer: float) -> bool:
    """Whether (xᵃ)ᵇ = xᵃᵇ for every x: not for √(x²)."""
    return inner == int(inner) and outer == int(outer)
