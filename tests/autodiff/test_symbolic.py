import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.autodiff import symbolic
from fjdl.autodiff.symbolic import Constant, Expression, Symbol, diff, evaluate
from tests.support import float64

x, y = Symbol("x"), Symbol("y")

# printed formula, printed derivative with respect to x
WRITTEN: list[tuple[Expression, str, str]] = [
    (x * x, "x·x", "x + x"),
    (3 * x**2 + 2, "3·x^2 + 2", "6·x"),
    (symbolic.sin(x * y), "sin(x·y)", "cos(x·y)·y"),
    (symbolic.exp(-x), "exp(-x)", "-exp(-x)"),
    (1 / x, "x^-1", "-x^-2"),
    (symbolic.log(x) / y, "log(x)·y^-1", "x^-1·y^-1"),
    ((x + 1) * (x + 2), "(x + 1)·(x + 2)", "x + 2 + x + 1"),
    (Constant(5.0) * 1 + 0 * x, "5", "0"),
    (x - 2 * y, "x - 2·y", "1"),
    (-x - (y + 1), "-x - (y + 1)", "-1"),
    ((x + 1) ** 3, "(x + 1)^3", "3·(x + 1)^2"),
    (y**2, "y^2", "0"),
]


@pytest.mark.parametrize(("formula", "text", "derivative"), WRITTEN, ids=[row[1] for row in WRITTEN])
def test_derivatives_read_as_in_a_textbook(formula: Expression, text: str, derivative: str) -> None:
    assert str(formula) == text
    assert str(diff(formula, x)) == derivative


FORMULAS = [
    symbolic.tanh(x * y + 1) ** 2 / (1 + x**2),
    symbolic.sigmoid(x - y) * symbolic.log(2 + symbolic.cos(x)),
    symbolic.exp(symbolic.sin(x)) - x / y,
    (2 - x) ** 0.5 + 1 / (x * x),
    -(x**3) + 3 - (y - x) * 2,
]


@pytest.mark.parametrize("formula", FORMULAS, ids=str)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_derivatives_equal_jax(formula: Expression, order: int) -> None:
    with float64():

        def function(x: jax.Array) -> jax.Array:
            return evaluate(formula, {"x": x, "y": -0.7})

        for _ in range(order):
            function = jax.grad(function)
        actual = evaluate(diff(formula, x, order=order), {"x": 1.3, "y": -0.7})
        np.testing.assert_allclose(actual, function(jnp.asarray(1.3)), rtol=1e-12)


def test_values_may_be_arrays_under_jit() -> None:
    derivative = diff(symbolic.tanh(x), x)
    points = jnp.linspace(-2, 2, 5)
    actual = jax.jit(lambda points: evaluate(derivative, {"x": points}))(points)
    np.testing.assert_allclose(actual, 1 - np.tanh(np.linspace(-2, 2, 5)) ** 2, rtol=1e-5)


def test_a_root_of_a_square_is_not_the_base() -> None:
    assert float(evaluate((x**2) ** 0.5, {"x": -3.0})) == 3.0
    assert str((x**2) ** 3) == "x^6"


def test_e103_nested_formulas_swell_while_a_program_keeps_its_steps() -> None:
    formula: Expression = x
    sizes = []
    for _ in range(5):
        formula = symbolic.sigmoid(formula * formula)
        sizes.append(symbolic.size(diff(formula, x)) / symbolic.size(formula))
    assert sizes == sorted(sizes)
    assert sizes[-1] > 3 * sizes[0]


def test_a_symbol_without_a_value_is_named() -> None:
    with pytest.raises(ValueError, match="got none for 'y'"):
        evaluate(x + y, {"x": 1.0})


def test_a_negative_order_and_a_plain_number_are_refused() -> None:
    with pytest.raises(ValueError, match="order must not be negative, got -1"):
        diff(x, x, order=-1)
    with pytest.raises(ValueError, match="formula must be an expression, got float"):
        evaluate(math.pi, {})  # type: ignore[arg-type]
