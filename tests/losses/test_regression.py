import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl import losses
from fjdl.losses import regression
from tests.support import float64


@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 1), (1, 1)])
def test_mse_equals_torch_in_value_and_gradients(rng, shape):
    p, t = rng.standard_normal(shape), rng.standard_normal(shape)
    prediction, target = torch.tensor(p, requires_grad=True), torch.tensor(t, requires_grad=True)
    expected = torch.nn.functional.mse_loss(prediction, target, reduction="none").mean(-1)
    expected.sum().backward()
    with float64():
        values = losses.mse_loss(p, t)
        gradients = jax.grad(lambda p, t: jnp.sum(losses.mse_loss(p, t)), (0, 1))(p, t)
    np.testing.assert_allclose(values, expected.detach(), rtol=1e-14)
    np.testing.assert_allclose(gradients[0], prediction.grad, rtol=1e-14)
    np.testing.assert_allclose(gradients[1], target.grad, rtol=1e-14)


def test_differences_of_bfloat16_inputs_are_squared_and_averaged_in_float32():
    values = losses.mse_loss(jnp.full((1, 1000), 1.0078125, jnp.bfloat16), jnp.ones((1, 1000), jnp.bfloat16))
    assert values.dtype == jnp.float32
    np.testing.assert_allclose(values, [0.0078125**2], rtol=1e-6)


def test_float16_squares_do_not_overflow():
    np.testing.assert_allclose(
        losses.mse_loss(jnp.full((1, 2), 6e4, jnp.float16), jnp.zeros((1, 2), jnp.float16)), [3.6e9], rtol=1e-3
    )


def test_nan_stays_in_its_example():
    values = losses.mse_loss(np.float32([[np.nan, 0], [1, 3]]), np.zeros((2, 2), np.float32))
    np.testing.assert_array_equal(values, [np.nan, 5])


def test_an_empty_batch_has_no_losses_and_no_features_have_no_mean():
    assert losses.mse_loss(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)).shape == (0,)
    assert np.isnan(losses.mse_loss(np.zeros((2, 0), np.float32), np.zeros((2, 0), np.float32))).all()


def test_a_column_against_a_row_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"^mse_loss: argument `targets` must be .*, got .*$"):
        losses.mse_loss(np.zeros((3, 1), np.float32), np.zeros(3, np.float32))


def test_e11_mean_squared_error_is_the_mean_of_the_squares_and_not_their_sum():
    np.testing.assert_allclose(regression.mse_loss(np.float32([[1, 2, 3, 4]]), np.zeros((1, 4), np.float32)), [7.5])


def test_e12_mean_absolute_error_takes_absolute_values_before_it_averages():
    np.testing.assert_allclose(regression.mae_loss(np.float32([[1, -1, 3, -3]]), np.zeros((1, 4), np.float32)), [2.0])


SLOPES = {
    "mae": (regression.mae_loss, [-1, -1, 0, 1, 1]),
    "huber": (lambda p, t: regression.huber_loss(p, t, delta=2.0), [-2, -2, 0, 2, 2]),
    "smooth_l1": (lambda p, t: regression.smooth_l1_loss(p, t, beta=2.0), [-1, -1, 0, 1, 1]),
    "smooth_l1 of width 0": (lambda p, t: regression.smooth_l1_loss(p, t, beta=0.0), [-1, -1, 0, 1, 1]),
    "log_cosh": (regression.log_cosh_loss, [-1, -np.tanh(2), 0, np.tanh(2), 1]),
    "quantile": (lambda p, t: regression.quantile_loss(p, t, quantiles=0.25), [-0.25, -0.25, 0, 0.75, 0.75]),
}


@pytest.mark.parametrize("name", SLOPES)
def test_slopes_at_kinks_and_at_1e30_are_finite_and_those_of_the_definition(name):
    loss, slopes = SLOPES[name]
    errors = np.float32([[-1e30], [-2], [0], [2], [1e30]])
    gradient = jax.grad(lambda p: jnp.sum(loss(p, jnp.zeros_like(p))))(errors)
    np.testing.assert_allclose(gradient[:, 0], slopes, rtol=1e-6)


def test_small_errors_keep_their_digits_in_log_cosh():
    errors = np.float32([[1e-8], [1e-4], [0.1], [0.9999], [1.0001], [20]])
    expected = np.log1p(2 * np.sinh(np.float64(errors) / 2) ** 2)[:, 0]
    np.testing.assert_allclose(regression.log_cosh_loss(errors, np.zeros_like(errors)), expected, rtol=1e-6)
    slope = jax.grad(lambda p: jnp.sum(regression.log_cosh_loss(p, jnp.zeros_like(p))))(errors)
    np.testing.assert_allclose(slope, np.tanh(np.float64(errors)), rtol=1e-6)


def test_percentages_are_fractions_of_the_target_and_eps_counts_below_it():
    predictions, targets = np.float32([[1.1, -3], [1, 1e-3]]), np.float32([[1, -2], [0, 0]])
    np.testing.assert_allclose(regression.mape_loss(predictions[:1], targets[:1]), [0.3], rtol=1e-6)
    np.testing.assert_allclose(regression.mape_loss(predictions[1:], targets[1:]), [1.001 * 2.0**51], rtol=1e-6)
    np.testing.assert_allclose(regression.mape_loss(predictions[1:], targets[1:], eps=0.1), [5.005], rtol=1e-6)
    gradient = jax.grad(lambda p: jnp.sum(regression.mape_loss(p, targets, eps=0.1)))(np.float32([[1, -1], [0, 2]]))
    np.testing.assert_allclose(gradient, [[0, 0.25], [0, 5]], rtol=1e-6)


def test_close_amounts_keep_the_digits_of_their_logarithmic_error():
    p, t = np.float32([[1e6], [3], [1e-10]]), np.float32([[1e6 + 1], [3 + 2**-20], [0]])
    exact = np.square(np.log1p(np.float64(p)) - np.log1p(np.float64(t)))[:, 0]
    np.testing.assert_allclose(regression.msle_loss(p, t), exact, rtol=1e-5)
    slope = jax.grad(lambda p: jnp.sum(regression.msle_loss(p, t)))(p)[:, 0]
    expected = 2 * (np.log1p(np.float64(p)) - np.log1p(np.float64(t))) / (1 + np.float64(p))
    np.testing.assert_allclose(slope, expected[:, 0], rtol=1e-5)


def test_each_feature_may_have_its_own_quantile():
    predictions, targets = np.zeros((1, 3), np.float32), np.float32([[1, 1, -1]])
    values = regression.quantile_loss(predictions, targets, quantiles=(0.1, 0.5, 0.9))
    np.testing.assert_allclose(values, [(0.1 + 0.5 + 0.1) / 3], rtol=1e-6)


def test_the_best_constant_is_the_quantile(rng):
    targets = np.sort(rng.standard_normal((1, 101)).astype(np.float32))
    candidates = np.repeat(targets.T, 101, axis=1)
    values = regression.quantile_loss(candidates, np.repeat(targets, 101, axis=0), quantiles=0.25)
    assert targets[0, np.argmin(values)] == np.quantile(targets, 0.25)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: regression.huber_loss(x, x, delta=0.0), r"^delta must be positive, got 0.0$"),
        (lambda x: regression.smooth_l1_loss(x, x, beta=-1.0), r"^beta must not be negative, got -1.0$"),
        (lambda x: regression.mape_loss(x, x, eps=0.0), r"^eps must be positive and finite, got 0.0$"),
        (lambda x: regression.quantile_loss(x, x, quantiles=1.0), r"^quantiles must lie in \(0, 1\), got 1.0$"),
        (
            lambda x: regression.quantile_loss(x, x, quantiles=(0.1, 0.9)),
            r"^quantiles must be one number or one per feature, got 2 for \(1, 3\)$",
        ),
    ],
)
def test_bad_options_are_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.zeros((1, 3), np.float32))
