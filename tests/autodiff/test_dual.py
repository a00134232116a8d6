from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.autodiff import dual
from fjdl.autodiff.dual import Dual
from tests.support import assert_trees_close, float64

LIFTED: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "exp": (dual.exp, jnp.exp),
    "log": (dual.log, jnp.log),
    "sqrt": (dual.sqrt, jnp.sqrt),
    "sin": (dual.sin, jnp.sin),
    "cos": (dual.cos, jnp.cos),
    "tanh": (dual.tanh, jnp.tanh),
    "sigmoid": (dual.sigmoid, jax.nn.sigmoid),
    "softplus": (dual.softplus, jax.nn.softplus),
    "erf": (dual.erf, jax.scipy.special.erf),
    "relu": (dual.relu, jax.nn.relu),
    "leaky_relu": (dual.leaky_relu, jax.nn.leaky_relu),
    "elu": (dual.elu, jax.nn.elu),
    "silu": (dual.silu, jax.nn.silu),
    "gelu": (dual.gelu, lambda x: jax.nn.gelu(x, approximate=False)),
}


@pytest.mark.parametrize("name", LIFTED)
def test_lifted_functions_equal_jax_jvp(name: str) -> None:
    lifted, function = LIFTED[name]
    with float64():
        x = jnp.asarray([0.3, 1.7, 40.0] if name in ("log", "sqrt") else [-40.0, -1.3, 0.4, 2.2, 40.0])
        actual = dual.jvp(lifted, (x,), (jnp.full_like(x, 0.7),))
        assert_trees_close(actual, jax.jvp(function, (x,), (jnp.full_like(x, 0.7),)), rtol=1e-12, atol=1e-14)


def arithmetic(x: Any, y: Any) -> Any:
    return (2 - x * y) / (y + 3) - 4 / x + (x - 1) ** 3 - (-y) ** 2


def test_arithmetic_equals_jax_jvp() -> None:
    with float64():
        primals, tangents = (jnp.asarray(1.3), jnp.asarray(-0.4)), (jnp.asarray(0.2), jnp.asarray(5.0))
        actual, expected = (f(arithmetic, primals, tangents) for f in (dual.jvp, jax.jvp))
        assert_trees_close(actual, expected, rtol=1e-14, atol=1e-14)


def test_products_of_pure_dual_parts_vanish() -> None:
    assert Dual(0.0, 2.0) * Dual(0.0, 5.0) == Dual(0.0, 0.0)


def test_product_rule_by_hand() -> None:
    assert Dual(2.0, 3.0) * Dual(5.0, 7.0) == Dual(10.0, 29.0)


def test_a_constant_has_no_derivative() -> None:
    assert dual.derivative(lambda x: 3.0)(2.0) == 0
    assert dual.derivative(lambda x: x**0)(0.0) == 0


def test_taylor_series_ends_after_two_terms() -> None:
    shifted = dual.sin(Dual(jnp.asarray(0.5), jnp.asarray(3.0)))
    np.testing.assert_allclose((shifted.real, shifted.dual), (np.sin(0.5), 3 * np.cos(0.5)), rtol=1e-6)


def test_gradient_of_many_variables_equals_jax_under_jit(rng: np.random.Generator) -> None:
    matrix = jnp.asarray(rng.standard_normal((4, 3)), jnp.float32)

    def with_duals(x: Any) -> Any:
        return dual.total(dual.tanh(dual.Linear(lambda v: matrix @ v)(x)))

    x = jnp.asarray(rng.standard_normal(3), jnp.float32)
    expected = jax.grad(lambda x: jnp.sum(jnp.tanh(matrix @ x)))(x)
    np.testing.assert_allclose(jax.jit(lambda x: dual.gradient(with_duals, x))(x), expected, rtol=1e-5)
