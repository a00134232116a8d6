import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import load_iris, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from fjdl.classical import Linear, decision, fit_binary, fit_softmax, predict_binary, predict_class, softmax_loss
from tests.support import float64


def table(load) -> tuple[np.ndarray, np.ndarray]:
    x, y = load(return_X_y=True)
    return StandardScaler().fit_transform(x), y


@pytest.mark.parametrize("l2", [0.1, 1.0, 50.0])
def test_binary_optimum_equals_scikit_learn(l2: float) -> None:
    x, y = table(load_iris)
    target = (y == 1).astype(float)
    oracle = LogisticRegression(C=1 / l2, tol=1e-10, max_iter=1000).fit(x, target)
    with float64():
        found = fit_binary(x, target, l2=l2)
        np.testing.assert_allclose(found.weights[:, 0], oracle.coef_[0], rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(found.bias, oracle.intercept_, rtol=1e-5)
        np.testing.assert_array_equal(predict_binary(found, jnp.asarray(x))[:, 0], oracle.predict(x))


@pytest.mark.parametrize("load", [load_iris, load_wine])
def test_softmax_optimum_equals_scikit_learn(load) -> None:
    x, y = table(load)
    oracle = LogisticRegression(C=1.0, tol=1e-10, max_iter=2000).fit(x, y)
    with float64():
        found = fit_softmax(x, y, classes=3, l2=1.0)
        np.testing.assert_allclose(found.weights.T, oracle.coef_, rtol=1e-4, atol=1e-6)
        centred = found.bias - jnp.mean(found.bias)
        np.testing.assert_allclose(centred, oracle.intercept_ - oracle.intercept_.mean(), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(
        predict_class(Linear(*map(np.float32, found)), x.astype(np.float32)), oracle.predict(x)
    )


def test_weights_count_examples() -> None:
    x, y = table(load_iris)
    target, weights = (y == 1).astype(float), np.random.default_rng(0).integers(0, 3, len(y)).astype(float)
    oracle = LogisticRegression(tol=1e-10, max_iter=1000).fit(x, target, sample_weight=weights)
    with float64():
        np.testing.assert_allclose(fit_binary(x, target, weights).weights[:, 0], oracle.coef_[0], rtol=1e-5)


def test_the_loss_of_each_example_is_scikit_learns() -> None:
    x, y = table(load_iris)
    model = LogisticRegression().fit(x, y)
    params = Linear(jnp.asarray(model.coef_.T, jnp.float32), jnp.asarray(model.intercept_, jnp.float32))
    losses = softmax_loss(params, x.astype(np.float32), y)
    probabilities = model.predict_proba(x)
    for i in (0, 60, 149):
        expected = log_loss(y[i : i + 1], probabilities[i : i + 1], labels=[0, 1, 2])
        np.testing.assert_allclose(losses[i], expected, rtol=1e-4)
    np.testing.assert_allclose(np.mean(losses), log_loss(y, probabilities), rtol=1e-5)


def test_separable_data_without_penalty_stay_finite_and_are_separated() -> None:
    x, y = jnp.asarray([[-2.0], [-1.0], [1.0], [2.0]]), jnp.asarray([0.0, 0.0, 1.0, 1.0])
    found = fit_binary(x, y, l2=0.0)
    assert bool(jnp.all(jnp.isfinite(found.weights)))
    np.testing.assert_array_equal(predict_binary(found, x)[:, 0], y)


def test_a_probability_of_one_half_is_class_0() -> None:
    params = Linear(jnp.asarray([[1.0]]), jnp.asarray([0.0]))
    np.testing.assert_array_equal(predict_binary(params, jnp.asarray([[0.0], [1e-6], [-1e-6]])), [[0], [1], [0]])


def test_features_far_from_standard_still_reach_the_optimum() -> None:
    x, y = load_wine(return_X_y=True)
    oracle = LogisticRegression(C=1.0, tol=1e-10, max_iter=100_000, solver="newton-cholesky").fit(x, y)
    with float64():
        logits = decision(fit_softmax(x, y, classes=3, iterations=60), jnp.asarray(x))
    difference = np.asarray(logits) - oracle.decision_function(x)
    np.testing.assert_allclose(difference - difference.mean(axis=1, keepdims=True), 0, atol=1e-4)


def test_a_negative_penalty_is_refused() -> None:
    with pytest.raises(ValueError, match=r"l2 must not be negative, got -0\.1"):
        fit_binary(jnp.ones((2, 1)), jnp.ones(2), l2=-0.1)
