from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.autodiff import rules, tape
from fjdl.autodiff.tape import Variable, record
from tests.support import assert_trees_close, float64

# name: (function of variables, the same function of arrays for jax, shapes of the arguments)
FUNCTIONS: dict[str, tuple[Callable[..., Variable], Callable[..., Any], list[tuple[int, ...]]]] = {
    "add": (lambda x, y: x + y, jnp.add, [(3,), (3,)]),
    "subtract": (lambda x, y: x - y, jnp.subtract, [(3,), (3,)]),
    "multiply": (lambda x, y: x * y, jnp.multiply, [(3,), (3,)]),
    "divide": (lambda x, y: x / y, jnp.divide, [(3,), (3,)]),
    "negative": (lambda x: -x, jnp.negative, [(3,)]),
    "numbers": (lambda x: 2 / (1 - 3 * x) + (x - 4.0) / 2, lambda x: 2 / (1 - 3 * x) + (x - 4.0) / 2, [(3,)]),
    "branch": (lambda x: x * x + x, lambda x: x * x + x, [(3,)]),
    "maximum": (lambda x, y: record(rules.maximum, x, y), jnp.maximum, [(5,), (5,)]),
    "maximum of equals": (lambda x: record(rules.maximum, x, x), lambda x: jnp.maximum(x, x), [(5,)]),
    "matmul": (lambda x, y: x @ y, jnp.matmul, [(2, 3), (3, 4)]),
    "bias": (lambda x, b: x + b, lambda x, b: x + b[None], [(4, 3), (3,)]),
    "kept axis": (lambda x, b: x * b, lambda x, b: x * b, [(4, 3), (4, 1)]),
    "softmax": (lambda x: record(rules.softmax, x), jax.nn.softmax, [(2, 5)]),
    "total": (lambda x: record(rules.total, x), jnp.sum, [(2, 5)]),
    "average": (lambda x: record(rules.average, x), jnp.mean, [(2, 5)]),
    **{
        operation.name: (lambda x, operation=operation: record(operation, x), function, [(6,)])
        for operation, function in [
            (rules.identity, lambda x: x), (rules.square, jnp.square), (rules.exp, jnp.exp), (rules.sin, jnp.sin),
            (rules.cos, jnp.cos), (rules.tanh, jnp.tanh), (rules.sigmoid, jax.nn.sigmoid), (rules.relu, jax.nn.relu),
        ]
    },
    "log": (lambda x: record(rules.log, record(rules.exp, x)), lambda x: jnp.log(jnp.exp(x)), [(3,)]),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_vjp_equals_jax(name: str, rng: np.random.Generator) -> None:
    recorded, function, shapes = FUNCTIONS[name]
    with float64():
        arguments = [jnp.asarray(rng.standard_normal(shape)) for shape in shapes]
        value, pull = tape.vjp(recorded, *arguments)
        expected, expected_pull = jax.vjp(function, *arguments)
        upstream = jnp.asarray(rng.standard_normal(expected.shape))
        assert_trees_close(value, expected, rtol=1e-14, atol=1e-14)
        assert_trees_close(pull(upstream), expected_pull(upstream), rtol=1e-13, atol=1e-14)


def test_one_tape_serves_every_upstream_gradient() -> None:
    _, pull = tape.vjp(lambda x: x * x, jnp.asarray([1.0, 2.0]))
    np.testing.assert_array_equal(pull(jnp.asarray([1.0, 0.0]))[0], [2.0, 0.0])
    np.testing.assert_array_equal(pull(jnp.asarray([0.0, 1.0]))[0], [0.0, 4.0])


def network(kernel: Any, bias: Any, x: Any) -> Variable:
    return record(rules.average, record(rules.square, record(rules.tanh, x @ kernel + bias)))


def test_grad_of_a_network_equals_jax_under_jit(rng: np.random.Generator) -> None:
    arguments = [jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in ((3, 2), (2,), (5, 3))]
    expected = jax.grad(lambda k, b, x: jnp.mean(jnp.tanh(x @ k + b[None]) ** 2), argnums=(0, 1, 2))(*arguments)
    assert_trees_close(jax.jit(tape.grad(network))(*arguments), expected, rtol=1e-5, atol=1e-7)


def test_an_argument_that_is_not_used_has_the_gradient_0() -> None:
    np.testing.assert_array_equal(tape.grad(lambda x, y: x * 2.0)(jnp.asarray(1.0), jnp.asarray(3.0)), (2.0, 0.0))


def test_a_long_chain_needs_no_recursion() -> None:
    def deep(x: Variable) -> Variable:
        for _ in range(3000):
            x = record(rules.identity, x)
        return x

    assert tape.grad(deep)(jnp.asarray(2.0)) == (1.0,)


def test_the_gradient_of_an_array_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be a scalar, got an array of shape \(3,\)"):
        tape.grad(lambda x: x)(jnp.ones(3))


def test_bias_gradient_sums_over_the_batch() -> None:
    gradient = tape.grad(lambda b: record(rules.total, b + jnp.ones((4, 3))))(jnp.zeros(3))[0]
    np.testing.assert_array_equal(gradient, [4.0, 4.0, 4.0])


def test_e49_off_the_diagonal_softmax_has_minus_the_product_of_two_outputs() -> None:
    x = jnp.asarray([0.1, -0.4, 0.7])
    outputs, pull = tape.vjp(lambda v: record(rules.softmax, v), x)
    jacobian = jnp.stack([pull(row)[0] for row in jnp.eye(3)])
    np.testing.assert_allclose(jacobian, np.diag(outputs) - np.outer(outputs, outputs), atol=1e-7)
