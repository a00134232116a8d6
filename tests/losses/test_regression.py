import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl import losses
from tests.support import float64


@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 1), (1, 1)])
def test_mse_equals_torch_in_value_and_gradients(rng, shape):
    p, t = rng.standard_normal(shape), rng.standard_normal(shape)
    prediction, target = torch.tensor(p, requires_grad=True), torch.tensor(t, requires_grad=True)
    expected = torch.nn.functional.mse_loss(prediction, target, reduction="none").mean(-1)
    expected.sum().backward()
    with float64():
        values = losses.mse(p, t)
        gradients = jax.grad(lambda p, t: jnp.sum(losses.mse(p, t)), (0, 1))(p, t)
    np.testing.assert_allclose(values, expected.detach(), rtol=1e-14)
    np.testing.assert_allclose(gradients[0], prediction.grad, rtol=1e-14)
    np.testing.assert_allclose(gradients[1], target.grad, rtol=1e-14)


def test_differences_of_bfloat16_inputs_are_squared_and_averaged_in_float32():
    values = losses.mse(jnp.full((1, 1000), 1.0078125, jnp.bfloat16), jnp.ones((1, 1000), jnp.bfloat16))
    assert values.dtype == jnp.float32
    np.testing.assert_allclose(values, [0.0078125**2], rtol=1e-6)


def test_float16_squares_do_not_overflow():
    np.testing.assert_allclose(
        losses.mse(jnp.full((1, 2), 6e4, jnp.float16), jnp.zeros((1, 2), jnp.float16)), [3.6e9], rtol=1e-3
    )


def test_nan_stays_in_its_example():
    values = losses.mse(np.float32([[np.nan, 0], [1, 3]]), np.zeros((2, 2), np.float32))
    np.testing.assert_array_equal(values, [np.nan, 5])


def test_an_empty_batch_has_no_losses_and_no_features_have_no_mean():
    assert losses.mse(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)).shape == (0,)
    assert np.isnan(losses.mse(np.zeros((2, 0), np.float32), np.zeros((2, 0), np.float32))).all()


def test_a_column_against_a_row_is_refused_in_one_sentence():
    with pytest.raises(ValueError, match=r"^mse: argument `targets` must be .*, got .*$"):
        losses.mse(np.zeros((3, 1), np.float32), np.zeros(3, np.float32))
