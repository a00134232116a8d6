import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from fjdl.losses import probabilities
from tests.support import float64


def test_e13_targets_weigh_the_logarithms_of_predictions_and_not_the_other_way_round():
    predictions, targets = np.float32([[0.9, 0.1]]), np.float32([[1, 0]])
    np.testing.assert_allclose(probabilities.categorical_cross_entropy(predictions, targets), [-np.log(0.9)], rtol=1e-6)


def test_e41_targets_are_not_clipped():
    with float64():
        values = probabilities.categorical_cross_entropy(np.array([[0.9, 0, 0, 0.1]]), np.array([[1.0, 0, 0, 0]]))
    assert float(values[0]) == pytest.approx(0.10536051565782628, rel=1e-15)


def test_e45_each_logarithm_is_weighed_by_its_target():
    values = probabilities.binary_cross_entropy(np.float32([0.9, 0.9]), np.float32([1, 0]))
    np.testing.assert_allclose(values, [-np.log(0.9), -np.log(0.1)], rtol=1e-6)


def test_binary_equals_torch_in_value_and_gradients(rng):
    p, t = rng.uniform(size=(2, 4, 3))
    prediction, target = torch.tensor(p, requires_grad=True), torch.tensor(t)
    expected = torch.nn.functional.binary_cross_entropy(prediction, target, reduction="none")
    expected.sum().backward()
    with float64():
        values = probabilities.binary_cross_entropy(p, t)
        gradient = jax.grad(lambda p: jnp.sum(probabilities.binary_cross_entropy(p, t)))(p)
    np.testing.assert_allclose(values, expected.detach(), rtol=1e-13)
    np.testing.assert_allclose(gradient, prediction.grad, rtol=1e-13)


def test_categorical_and_sparse_equal_the_log_loss_of_sklearn(rng):
    p, labels = rng.dirichlet(np.ones(3), 5), np.array([0, 2, 1, 1, 0])
    expected = [log_loss([y], row[None], labels=range(3)) for y, row in zip(labels, p, strict=True)]
    with float64():
        sparse = probabilities.sparse_categorical_cross_entropy(p, labels)
        dense = probabilities.categorical_cross_entropy(p, np.eye(3)[labels])
    np.testing.assert_allclose(sparse, expected, rtol=1e-12)
    np.testing.assert_allclose(dense, expected, rtol=1e-12)


def test_probabilities_next_to_0_and_1_keep_their_digits_in_float32():
    p = np.float32([1 - 2.0**-24, 2.0**-30])
    values = probabilities.binary_cross_entropy(p, np.float32([0, 1]))
    np.testing.assert_allclose(values, [24 * np.log(2), 30 * np.log(2)], rtol=1e-6)


def test_a_certain_mistake_costs_minus_log_eps_with_gradient_zero():
    p, t = np.float32([0, 1]), np.float32([1, 0])
    value, gradient = jax.value_and_grad(lambda p: jnp.sum(probabilities.binary_cross_entropy(p, t, eps=1e-7)))(p)
    assert value == pytest.approx(-2 * np.log(1e-7), rel=1e-6)
    np.testing.assert_array_equal(gradient, [0, 0])


@pytest.mark.parametrize("label", [-1, 2, 255])
def test_a_label_out_of_range_gives_nan_to_its_example_only(label):
    p, labels = np.full((2, 2), 0.5, np.float32), np.array([0, label])
    values, gradient = jax.vjp(lambda p: probabilities.sparse_categorical_cross_entropy(p, labels), p)
    np.testing.assert_allclose(values, [np.log(2), np.nan], rtol=1e-6)
    np.testing.assert_array_equal(gradient(jnp.ones(2))[0], [[-2, 0], [np.nan, np.nan]])


@pytest.mark.parametrize("eps", [0.0, -1.0, 0.5, np.nan])
def test_eps_outside_its_range_is_refused(eps):
    with pytest.raises(ValueError, match=rf"^eps must lie in \(0, 0.5\), got {eps}$"):
        probabilities.binary_cross_entropy(np.zeros(1, np.float32), np.zeros(1, np.float32), eps=eps)
