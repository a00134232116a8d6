"""Dual numbers: forward-mode differentiation by arithmetic with `ε² = 0` (Clifford 1873; Wengert 1964)."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fjdl.typing import Array, Float, typed


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Dual:
    """`real + ε · dual`: a value and its derivative along one direction, carried through every operation."""

    real: Any
    dual: Any

    def __add__(self, other: Any) -> "Dual":
        other = dual(other)
        return Dual(self.real + other.real, self.dual + other.dual)

    def __neg__(self) -> "Dual":
        return Dual(-self.real, -self.dual)

    def __sub__(self, other: Any) -> "Dual":
        return self + -dual(other)

    def __mul__(self, other: Any) -> "Dual":
        other = dual(other)
        return Dual(self.real * other.real, self.real * other.dual + self.dual * other.real)

    def __truediv__(self, other: Any) -> "Dual":
        other = dual(other)
        quotient = self.real / other.real
        return Dual(quotient, (self.dual - quotient * other.dual) / other.real)

    def __pow__(self, exponent: float) -> "Dual":
        slope = exponent * self.real ** (exponent - 1) if exponent != 0 else jnp.zeros_like(self.real)
        return Dual(self.real**exponent, slope * self.dual)

    def __radd__(self, other: Any) -> "Dual":
        return self + other

    def __rsub__(self, other: Any) -> "Dual":
        return dual(other) - self

    def __rmul__(self, other: Any) -> "Dual":
        return self * other

    def __rtruediv__(self, other: Any) -> "Dual":
        return dual(other) / self


def dual(x: Any) -> Dual:
    """`x` as a dual number; a constant has the dual part 0."""
    return x if isinstance(x, Dual) else Dual(jnp.asarray(x), jnp.zeros_like(jnp.asarray(x)))


class Lifted(NamedTuple):
    """A function on dual numbers, `f(a + εb) = f(a) + ε b f'(a)`: its Taylor series, which ends after two terms."""

    function: Callable[[Any], Any]
    derivative: Callable[[Any], Any]

    def __call__(self, x: Any) -> Dual:
        """The function of `x`, a dual number or a constant."""
        x = dual(x)
        return Dual(self.function(x.real), x.dual * self.derivative(x.real))


class Linear(NamedTuple):
    """A linear function on dual numbers: it acts on both parts alike."""

    function: Callable[[Any], Any]

    def __call__(self, x: Any) -> Dual:
        """The function of `x`, a dual number or a constant."""
        x = dual(x)
        return Dual(self.function(x.real), self.function(x.dual))


def _bell(x: Array) -> Array:
    return jnp.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)


def _slope_of_sigmoid(x: Array) -> Array:
    return jax.lax.logistic(x) * jax.lax.logistic(-x)


total = Linear(jnp.sum)
exp = Lifted(jnp.exp, jnp.exp)
log = Lifted(jnp.log, lambda x: 1 / x)
sqrt = Lifted(jnp.sqrt, lambda x: 0.5 / jnp.sqrt(x))
sin = Lifted(jnp.sin, jnp.cos)
cos = Lifted(jnp.cos, lambda x: -jnp.sin(x))
tanh = Lifted(jnp.tanh, lambda x: 1 - jnp.square(jnp.tanh(x)))
sigmoid = Lifted(jax.lax.logistic, _slope_of_sigmoid)
softplus = Lifted(lambda x: jnp.logaddexp(x, 0.0), jax.lax.logistic)
erf = Lifted(jax.lax.erf, lambda x: 2 / math.sqrt(math.pi) * jnp.exp(-x * x))
relu = Lifted(lambda x: jnp.where(x > 0, x, 0), lambda x: jnp.where(x > 0, 1.0, 0.0))
leaky_relu = Lifted(lambda x: jnp.where(x >= 0, x, 0.01 * x), lambda x: jnp.where(x > 0, 1.0, 0.01))
elu = Lifted(
    lambda x: jnp.where(x > 0, x, jnp.expm1(jnp.minimum(x, 0))),
    lambda x: jnp.exp(jnp.minimum(x, 0)),
)
silu = Lifted(
    lambda x: x * jax.lax.logistic(x),
    lambda x: jax.lax.logistic(x) + x * _slope_of_sigmoid(x),
)
gelu = Lifted(
    lambda x: x * jax.scipy.special.ndtr(x),
    lambda x: jax.scipy.special.ndtr(x) + x * _bell(x),
)


def jvp(function: Callable[..., Any], primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Any, Any]:
    """Value and derivative along `tangents` of a function of dual numbers, in one pass; equals `jax.jvp`."""
    output = dual(function(*(Dual(jnp.asarray(p), jnp.asarray(t)) for p, t in zip(primals, tangents, strict=True))))
    return output.real, output.dual


def derivative(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The derivative of an elementwise function of one dual number: the dual part at `x + ε`."""
    return lambda x: jvp(function, (x,), (jnp.ones_like(jnp.asarray(x)),))[1]


@typed
def gradient(function: Callable[[Any], Any], x: Float[Array, " n"]) -> Float[Array, " n"]:
    """The gradient of a scalar function of a vector of dual numbers: one forward pass for each of the `n` entries.

    Forward mode needs `n` passes where reverse mode needs one; it is the cheaper of the two for few inputs and many
    outputs.
    """
    return jax.vmap(lambda direction: jvp(function, (x,), (direction,))[1])(jnp.eye(x.shape[0], dtype=x.dtype))
