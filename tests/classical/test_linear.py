import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, Ridge

from fjdl.classical import decision, normal_equations, squared_error
from tests.support import float64


@pytest.fixture
def data(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = rng.standard_normal((30, 4)) + 3
    return x, x @ rng.standard_normal((4, 2)) + rng.standard_normal((30, 2)) * 0.1 + 5


@pytest.mark.parametrize("l2", [0.0, 0.5, 100.0])
def test_equals_scikit_learn(data: tuple[np.ndarray, np.ndarray], l2: float) -> None:
    x, y = data
    oracle = (Ridge(alpha=l2) if l2 else LinearRegression()).fit(x, y)
    with float64():
        found = normal_equations(x, y, l2=l2)
    np.testing.assert_allclose(found.weights, oracle.coef_.T, rtol=1e-9)
    np.testing.assert_allclose(found.bias, oracle.intercept_, rtol=1e-9)


def test_the_residual_is_orthogonal_to_the_features(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = data
    with float64():
        residual = y - np.asarray(decision(normal_equations(x, y), jnp.asarray(x)))
    np.testing.assert_allclose(x.T @ residual, 0, atol=1e-10)
    np.testing.assert_allclose(residual.sum(axis=0), 0, atol=1e-10)


def test_collinear_features_get_the_smallest_weights(data: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = data
    with float64():
        single, double = normal_equations(x[:, :1], y), normal_equations(np.repeat(x[:, :1], 2, axis=1), y)
    np.testing.assert_allclose(double.weights, np.repeat(np.asarray(single.weights) / 2, 2, axis=0), rtol=1e-9)


def test_e95_the_cost_is_the_mean_of_squared_distances() -> None:
    params = normal_equations(jnp.asarray([[0.0], [1.0]]), jnp.asarray([[1.0], [3.0]]))
    np.testing.assert_allclose(params.weights, [[2.0]], rtol=1e-6)
    losses = squared_error(params, jnp.asarray([[2.0]]), jnp.asarray([[7.0]]))
    np.testing.assert_allclose(losses, [4.0], rtol=1e-5)


def test_a_negative_penalty_is_refused() -> None:
    with pytest.raises(ValueError, match=r"l2 must not be negative, got -1\.0"):
        normal_equations(jnp.ones((2, 1)), jnp.ones((2, 1)), l2=-1.0)
