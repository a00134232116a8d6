from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.functional import rectifiers
from tests.support import float64

INF, NAN = np.inf, np.nan
X = np.array([[-2.0, -0.5, 0.0, 0.5], [2.0, -1e4, 1e4, -3.0]])


def gradients(function, *arrays):
    """Value and the gradients of its sum in float64."""

    def pulled(*arrays):
        value, pullback = jax.vjp(function, *arrays)
        return value, pullback(jnp.ones_like(value))

    with float64():
        return jax.jit(pulled, compiler_options={"xla_backend_optimization_level": 0})(*map(jnp.asarray, arrays))


def torch_gradients(function, *arrays):
    tensors = [torch.tensor(x, requires_grad=True) for x in arrays]
    value = function(*tensors)
    value.sum().backward()
    return value.detach().numpy(), [x.grad.numpy() for x in tensors]


@pytest.mark.parametrize("slope", [2.0, 1.0, 0.3, 0.0, -0.5])
def test_e52_leaky_relu_is_right_for_every_slope(slope):
    actual = rectifiers.leaky_relu(jnp.array([-4.0, 0.0, 4.0]), negative_slope=slope)
    np.testing.assert_allclose(actual, [-4 * slope, 0, 4], rtol=1e-6)  # max(x, 2x) would be -4 and 8


def test_leaky_relu_of_slope_0_is_relu_at_minus_infinity_too():
    x = jnp.array([-INF, -1.0, NAN, 2.0])
    np.testing.assert_array_equal(rectifiers.leaky_relu(x, negative_slope=0.0), [0, 0, NAN, 2])
    assert jax.grad(partial(rectifiers.leaky_relu, negative_slope=0.0))(-INF) == 0


def test_e52_prelu_is_right_for_a_slope_above_1():
    np.testing.assert_array_equal(rectifiers.prelu(jnp.array([-4.0, 4.0]), jnp.array(2.0)), [-8, 4])


def test_e51_elu_and_selu_are_linear_above_0_and_exponential_below():
    with float64():
        x = jnp.array([-2.0, 3.0])
        np.testing.assert_allclose(rectifiers.elu(x, alpha=0.5), [0.5 * np.expm1(-2), 3], rtol=1e-12)
        np.testing.assert_allclose(
            rectifiers.selu(x), [1.0507009873554805 * 1.6732632423543772 * np.expm1(-2), 3 * 1.0507009873554805]
        )


def test_selu_of_a_standard_normal_has_mean_0_and_variance_1():
    z = np.linspace(-10, 10, 40_001)
    density = np.exp(-(z**2) / 2) / np.exp(-(z**2) / 2).sum()
    with float64():
        y = np.asarray(rectifiers.selu(z))
    np.testing.assert_allclose([density @ y, density @ y**2], [0, 1], atol=1e-6)


@pytest.mark.parametrize("slope", [0.25, np.array([0.25, 2.0, 0.0, -1.0])], ids=["shared", "per channel"])
def test_prelu_equals_torch_with_the_gradient_of_its_slope(slope):
    slope = np.asarray(slope)
    value, actual = gradients(rectifiers.prelu, X, slope)
    expected_value, expected = torch_gradients(torch.nn.functional.prelu, X, np.atleast_1d(slope))
    np.testing.assert_allclose(value, expected_value)
    np.testing.assert_allclose(actual[0], expected[0])
    np.testing.assert_allclose(actual[1], expected[1].reshape(slope.shape))


def test_the_gradient_of_a_slope_ignores_infinite_positive_entries_and_sums_in_float32():
    slope = jnp.float32(0.25)
    x = jnp.asarray([INF, -1.0, 2.0], jnp.bfloat16)
    assert jax.grad(lambda slope: rectifiers.prelu(x, slope).astype(jnp.float32).sum())(slope) == -1
    many = jnp.full((5000,), -1.0, jnp.bfloat16)  # a sum of ones in bfloat16 sticks at 256
    assert jax.grad(lambda slope: rectifiers.prelu(many, slope).astype(jnp.float32).sum())(slope) == -5000


def test_a_slope_keeps_the_dtype_of_the_input_and_serves_any_rank():
    for shape in ((3,), (2, 3), (2, 4, 3)):
        assert rectifiers.prelu(jnp.ones(shape, jnp.bfloat16), jnp.ones(3)).dtype == jnp.bfloat16
    assert rectifiers.prelu(jnp.array(-1.0), jnp.array(0.5)) == -0.5


@pytest.mark.parametrize("function", [rectifiers.softshrink, rectifiers.hardshrink])
def test_a_threshold_that_is_negative_is_refused(function):
    with pytest.raises(ValueError, match=r"^threshold must not be negative, got -0\.1$"):
        function(jnp.zeros(2), threshold=-0.1)


@pytest.mark.parametrize("alpha", [-1.0, NAN, INF])
def test_an_alpha_that_is_negative_or_not_finite_is_refused(alpha):
    with pytest.raises(ValueError, match=f"^alpha must be finite and not negative, got {alpha}$"):
        rectifiers.elu(jnp.zeros(2), alpha=alpha)
    with pytest.raises(ValueError, match=f"^alpha must be positive and finite, got {alpha}$"):
        rectifiers.celu(jnp.zeros(2), alpha=alpha)


def test_celu_of_alpha_0_is_refused_while_elu_of_alpha_0_is_relu():
    with pytest.raises(ValueError, match=r"^alpha must be positive and finite, got 0\.0$"):
        rectifiers.celu(jnp.zeros(2), alpha=0.0)
    np.testing.assert_array_equal(rectifiers.elu(jnp.array([-INF, -1.0, 2.0]), alpha=0.0), [0, 0, 2])


def test_shrinking_is_the_proximal_operator_of_the_absolute_value(rng):
    x, threshold = rng.standard_normal(50) * 2, 0.7
    u = np.linspace(-6, 6, 120_001)
    best = u[np.argmin(0.5 * (u - x[:, None]) ** 2 + threshold * np.abs(u), axis=1)]
    with float64():
        np.testing.assert_allclose(rectifiers.softshrink(x, threshold=threshold), best, atol=1e-4)


def test_maxout_equals_torch_in_value_and_gradients(rng):
    arrays = rng.standard_normal((2, 3, 5)), rng.standard_normal((5, 4, 3)), rng.standard_normal((4, 3))

    def theirs(x, kernel, bias):
        return (torch.einsum("bti,iok->btok", x, kernel) + bias).max(dim=-1).values

    value, actual = gradients(rectifiers.maxout, *arrays)
    expected_value, expected = torch_gradients(theirs, *arrays)
    np.testing.assert_allclose(value, expected_value, rtol=1e-12)
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


def test_maxout_is_relu_and_the_absolute_value_for_two_maps_of_one_input():
    x = jnp.array([[-3.0], [0.0], [2.0]])
    np.testing.assert_array_equal(rectifiers.maxout(x, jnp.array([[[0.0, 1.0]]])), [[0], [0], [2]])
    np.testing.assert_array_equal(rectifiers.maxout(x, jnp.array([[[-1.0, 1.0]]])), [[3], [0], [2]])


def test_the_first_of_equal_maps_takes_the_whole_gradient():
    bias = jnp.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    gradient = jax.grad(lambda bias: rectifiers.maxout(jnp.zeros(1), jnp.zeros((1, 2, 3)), bias).sum())(bias)
    np.testing.assert_array_equal(gradient, [[0, 1, 0], [1, 0, 0]])


def test_a_bias_of_maxout_that_does_not_fit_is_refused_by_name():
    with pytest.raises(ValueError, match="argument `bias` must be"):
        rectifiers.maxout(jnp.zeros((2, 3)), jnp.zeros((3, 4, 2)), jnp.zeros((2, 4)))
