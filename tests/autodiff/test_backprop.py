import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.autodiff import backprop, two_layer
from fjdl.autodiff.backprop import Layer
from fjdl.autodiff.two_layer import TwoLayer
from tests.support import assert_trees_close, float64

ACTIVATIONS = {
    "sigmoid": (backprop.sigmoid, jax.nn.sigmoid),
    "tanh": (backprop.tanh, jnp.tanh),
    "relu": (backprop.relu, jax.nn.relu),
    "identity": (backprop.identity, lambda x: x),
}


def parameters(sizes: list[int], rng: np.random.Generator) -> list[Layer]:
    return [
        Layer(jnp.asarray(rng.standard_normal((a, b))), jnp.asarray(rng.standard_normal(b)))
        for a, b in itertools.pairwise(sizes)
    ]


def cost(outputs: Any, targets: Any) -> Any:
    return 0.5 * jnp.sum((outputs - targets) ** 2)


@pytest.mark.parametrize(
    "names", [["sigmoid"], ["tanh", "identity"], ["relu", "tanh", "sigmoid"], ["sigmoid"] * 4], ids="-".join
)
def test_the_four_equations_give_the_gradient_of_any_perceptron(names: list[str], rng: np.random.Generator) -> None:
    with float64():
        layers = parameters([3, 5, 4, 3, 2][-len(names) - 1 :], rng)
        x, targets = (jnp.asarray(rng.standard_normal((6, n))) for n in (layers[0].kernel.shape[0], 2))

        def of_layers(layers: list[Layer]) -> Any:
            a = x
            for layer, name in zip(layers, names, strict=True):
                a = ACTIVATIONS[name][1](a @ layer.kernel + layer.bias[None])
            return cost(a, targets)

        activations = [ACTIVATIONS[name][0] for name in names]
        trace = backprop.forward(layers, x, activations=activations)
        found = backprop.backward(layers, trace, trace.activations[-1] - targets, activations=activations)
        assert_trees_close(found, jax.grad(of_layers)(layers), rtol=1e-12, atol=1e-13)


def test_e02_the_printed_error_belongs_to_half_the_squared_distance(rng: np.random.Generator) -> None:
    with float64():
        z, y = jnp.asarray(rng.standard_normal((1, 4))), jnp.asarray(rng.uniform(size=(1, 4)))
        a = jax.nn.sigmoid(z)
        costs = {
            "half": (lambda z: cost(jax.nn.sigmoid(z), y), a - y),
            "norm": (lambda z: jnp.linalg.norm(jax.nn.sigmoid(z) - y), (a - y) / jnp.linalg.norm(a - y)),
            "mean": (lambda z: jnp.mean((jax.nn.sigmoid(z) - y) ** 2), 2 / 4 * (a - y)),
        }
        for of_z, gradient in costs.values():
            error = backprop.output_error(gradient, z, activation=backprop.sigmoid)
            np.testing.assert_allclose(error, jax.grad(of_z)(z), rtol=1e-12)


def test_e03_the_hidden_error_sums_over_the_units_above() -> None:
    error, kernel, z = jnp.asarray([[1.0, 10.0]]), jnp.asarray([[2.0, 3.0]]), jnp.asarray([[0.4]])
    found = backprop.hidden_error(error, kernel, z, activation=backprop.identity)
    np.testing.assert_allclose(found, [[1 * 2 + 10 * 3]])


def test_e01_kernels_are_inputs_by_outputs_and_examples_are_rows() -> None:
    layer = Layer(jnp.asarray([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]), jnp.asarray([0.5, 0.0, 0.0]))
    trace = backprop.forward([layer], jnp.asarray([[1.0, 1.0], [0.0, 2.0]]), activations=[backprop.identity])
    np.testing.assert_allclose(trace.activations[-1], [[11.5, 22, 33], [20.5, 40, 60]])


def test_activations_must_be_as_many_as_layers(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="got 2 activations and 1 layers"):
        backprop.forward(parameters([2, 2], rng), jnp.ones((1, 2)), activations=[backprop.tanh] * 2)


def two(rng: np.random.Generator) -> tuple[TwoLayer, Any, Any]:
    params = TwoLayer(*(jnp.asarray(rng.standard_normal(shape)) for shape in ((3, 4), (4,), (4, 1), (1,))))
    return params, jnp.asarray(rng.standard_normal((7, 3))), jnp.asarray(rng.integers(0, 2, 7).astype(float))


def test_the_vectorized_pass_equals_jax(rng: np.random.Generator) -> None:
    with float64():
        params, x, targets = two(rng)
        found = two_layer.gradient(params, x, targets)
        assert_trees_close(found, jax.grad(two_layer.cost)(params, x, targets), rtol=1e-12, atol=1e-14)


def test_cost_is_the_cross_entropy_of_the_predictions(rng: np.random.Generator) -> None:
    from sklearn.metrics import log_loss

    with float64():
        params, x, targets = two(rng)
        predicted = np.asarray(two_layer.predict(params, x))
        np.testing.assert_allclose(two_layer.cost(params, x, targets), log_loss(targets, predicted), rtol=1e-12)


def test_constant_parameters_leave_all_hidden_units_alike() -> None:
    params = TwoLayer(jnp.full((3, 4), 0.2), jnp.zeros(4), jnp.full((4, 1), 0.2), jnp.zeros(1))
    x = jnp.arange(6.0).reshape(2, 3)
    kernel = two_layer.gradient(params, x, jnp.asarray([0.0, 1.0])).kernel1
    np.testing.assert_allclose(kernel, kernel[:, :1] * np.ones((1, 4)))
