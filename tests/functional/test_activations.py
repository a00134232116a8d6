from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.integrate
import scipy.special
import torch

from fjdl import functional as F
from fjdl.functional import activations
from tests.support import TOLERANCE, float64

INF, NAN = np.inf, np.nan
DTYPES = ["float64", "float32", "bfloat16", "float16"]
POINTS = np.array([-1e4, -100.0, -20.0, -1.5, -1e-3, 0.0, 1e-3, 0.5, 3.0, 20.0, 100.0, 1e4])
ROWS = np.array([[0.0, 1.0, 2.0], [1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [5.0, 5.0, 5.0], [-INF, 1.0, 2.0]])

POINTWISE = {
    F.identity: lambda x: x,
    F.relu: torch.nn.functional.relu,
    F.tanh: torch.tanh,
    F.sigmoid: torch.sigmoid,
}
ROWWISE = {F.softmax: torch.softmax, F.log_softmax: torch.log_softmax}
ALL = [*POINTWISE, *ROWWISE]


def derivative(function, x, cotangent=None):
    """Gradient of the sum of `function(x)`, weighted by `cotangent` where one is given."""

    @jax.jit
    def gradient(x):
        y, pullback = jax.vjp(function, x)
        return pullback(jnp.ones_like(y) if cotangent is None else jnp.asarray(cotangent, y.dtype))[0]

    return np.asarray(gradient(jnp.asarray(x)))


def value_and_pullback(function, x, cotangent):
    """The value and the gradient for this cotangent, by one program."""

    @jax.jit
    def both(x, cotangent):
        y, pullback = jax.vjp(function, x)
        return y, pullback(cotangent)[0]

    return both(x, cotangent)


def torch_derivative(function, x, cotangent=None):
    x = torch.tensor(x, requires_grad=True)
    y = function(x)
    y.backward(torch.ones_like(y) if cotangent is None else torch.tensor(cotangent, dtype=y.dtype))
    return y.detach().numpy(), x.grad.numpy()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("ours", POINTWISE, ids=lambda f: f.__name__)
def test_pointwise_value_and_gradient_equal_torch_up_to_1e4(ours, dtype):
    with float64():
        x = jnp.asarray(POINTS, dtype)
        value, gradient = torch_derivative(POINTWISE[ours], np.asarray(x, np.float64))
        actual, slope = value_and_pullback(ours, x, jnp.ones_like(x))
        assert actual.dtype == x.dtype
        close = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
        np.testing.assert_allclose(np.asarray(actual, np.float64), value, **close)
        np.testing.assert_allclose(np.asarray(slope, np.float64), gradient, **close)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [-1, 0])
@pytest.mark.parametrize("ours", ROWWISE, ids=lambda f: f.__name__)
def test_rowwise_value_and_gradient_equal_torch_up_to_1e4(ours, axis, dtype, rng):
    with float64():
        x = jnp.asarray(ROWS if axis == -1 else ROWS.T, dtype)
        weights = rng.standard_normal(x.shape)
        value, gradient = torch_derivative(lambda x: ROWWISE[ours](x, dim=axis), np.asarray(x, np.float64), weights)
        actual, slope = value_and_pullback(partial(ours, axis=axis), x, jnp.asarray(weights, dtype))
        assert actual.dtype == x.dtype
        close = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype]}
        np.testing.assert_allclose(np.asarray(actual, np.float64), value, **close)
        np.testing.assert_allclose(np.asarray(slope, np.float64), gradient, **close)


@pytest.mark.parametrize(
    ("ours", "theirs"), [(F.softmax, scipy.special.softmax), (F.log_softmax, scipy.special.log_softmax)]
)
def test_a_large_bfloat16_vocabulary_is_summed_in_float32(ours, theirs, rng):
    x = jnp.asarray(rng.standard_normal((2, 50_000)), jnp.bfloat16)
    expected = theirs(np.asarray(x, np.float64), axis=-1)
    np.testing.assert_allclose(np.asarray(ours(x), np.float64), expected, rtol=2**-8)


@pytest.mark.parametrize("dtype", DTYPES)
def test_relu_has_gradient_0_at_both_zeros_and_1_just_above(dtype):
    with float64():
        tiny = float(jnp.finfo(dtype).smallest_normal)
        x = jnp.asarray([-tiny, -0.0, 0.0, tiny], dtype)
        np.testing.assert_array_equal(derivative(F.relu, x).astype(np.float64), [0.0, 0.0, 0.0, 1.0])


def test_relu_keeps_nan_and_infinity():
    x = jnp.asarray([NAN, INF, -INF])
    np.testing.assert_array_equal(F.relu(x), [NAN, INF, 0.0])


def test_saturated_activations_reach_their_limits():
    x = jnp.asarray([-INF, INF])
    np.testing.assert_array_equal(F.sigmoid(x), [0.0, 1.0])
    np.testing.assert_array_equal(F.tanh(x), [-1.0, 1.0])
    np.testing.assert_array_equal(derivative(F.sigmoid, x), [0.0, 0.0])
    np.testing.assert_array_equal(derivative(F.tanh, x), [0.0, 0.0])


def test_e53_the_gradient_of_relu_at_0_is_0():
    assert jax.grad(F.relu)(0.0) == 0


def test_e10_erf_is_the_integral_of_the_gaussian():
    with float64():
        actual = activations.erf(jnp.array([0.5, 1.0, -2.0]))
    expected = [2 / np.sqrt(np.pi) * scipy.integrate.quad(lambda t: np.exp(-(t**2)), 0, x)[0] for x in (0.5, 1, -2)]
    np.testing.assert_allclose(actual, expected, rtol=1e-13)


def test_softplus_lies_between_relu_and_relu_plus_log_2_over_beta():
    x = np.linspace(-30, 30, 61, dtype=np.float32)
    excess = np.asarray(activations.softplus(x, beta=2.0)) - np.maximum(x, 0)
    assert excess.min() >= 0
    assert excess.max() == pytest.approx(np.log(2) / 2)


def test_softplus_of_a_large_beta_and_a_large_input_does_not_overflow():
    assert activations.softplus(jnp.float32(1e30), beta=1e30) == np.float32(1e30)


def test_log_sigmoid_keeps_what_the_sigmoid_underflows():
    np.testing.assert_allclose(activations.log_sigmoid(jnp.array([-200.0, -1e4, 200.0])), [-200, -1e4, 0])


@pytest.mark.parametrize("beta", [0.0, -1.0, NAN, INF])
def test_a_beta_of_softplus_that_is_not_positive_and_finite_is_refused(beta):
    with pytest.raises(ValueError, match=f"^beta must be positive and finite, got {beta}$"):
        activations.softplus(jnp.zeros(2), beta=beta)


@pytest.mark.parametrize("axis", [-1, 0])
def test_e09_softmax_is_normalized_over_the_entries_of_one_row(axis):
    x = np.log(np.float32([[1, 2, 5], [3, 3, 2]]))
    x = x if axis == -1 else x.T
    expected = np.array([[1, 2, 5], [3, 3, 2]]) / 8
    np.testing.assert_allclose(F.softmax(x, axis=axis), expected if axis == -1 else expected.T, rtol=1e-6)


def test_softmax_sums_to_1_and_ignores_a_shift(rng):
    x = rng.standard_normal((4, 10)).astype(np.float32)
    np.testing.assert_allclose(F.softmax(x).sum(axis=-1), np.ones(4), rtol=1e-6)
    np.testing.assert_allclose(F.softmax(x + 512), F.softmax(x), rtol=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_that_is_all_minus_infinity_has_probability_0_and_zero_gradient(dtype):
    with float64():
        x = jnp.asarray([[-INF, -INF, -INF], [0.0, 0.0, -INF]], dtype)
        np.testing.assert_allclose(F.softmax(x).astype(jnp.float32), [[0, 0, 0], [0.5, 0.5, 0]])
        half = np.asarray(np.log(0.5), dtype).astype(np.float32)
        np.testing.assert_allclose(F.log_softmax(x).astype(jnp.float32), [[-INF] * 3, [half, half, -INF]], rtol=1e-6)
        for function in ROWWISE:
            gradient = derivative(function, x, np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])).astype(np.float64)
            assert np.isfinite(gradient).all()
            np.testing.assert_array_equal(gradient[0], np.zeros(3))


def test_entries_of_plus_infinity_share_all_probability():
    x = jnp.asarray([[INF, 0.0, -INF], [INF, INF, 0.0]])
    np.testing.assert_array_equal(F.softmax(x), [[1, 0, 0], [0.5, 0.5, 0]])
    np.testing.assert_allclose(F.log_softmax(x), [[0, -INF, -INF], [np.log(0.5), np.log(0.5), -INF]], rtol=1e-6)


def test_nan_spreads_over_its_own_row_alone():
    x = jnp.asarray([[NAN, 0.0, -INF], [1.0, 1.0, -INF]])
    for function in ROWWISE:
        np.testing.assert_array_equal(np.isnan(function(x)), [[True] * 3, [False] * 3])


def test_log_softmax_keeps_what_softmax_underflows():
    x = jnp.asarray([0.0, 200.0])
    assert F.softmax(x)[0] == 0
    np.testing.assert_array_equal(F.log_softmax(x), [-200.0, 0.0])


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (1,), (1, 1)])
@pytest.mark.parametrize("function", ALL, ids=lambda f: f.__name__)
def test_empty_and_single_inputs_keep_their_shape(function, shape):
    x = np.zeros(shape, np.float32)
    result, gradient = value_and_pullback(function, x, x)
    assert result.shape == gradient.shape == shape


@pytest.mark.parametrize("ours", ROWWISE, ids=lambda f: f.__name__)
def test_second_derivatives_equal_torch(ours, rng):
    with float64():
        x, weights = rng.standard_normal((2, 5))
        actual = jax.jit(jax.hessian(lambda x: jnp.sum(weights * ours(x))))(x)
        expected = torch.autograd.functional.hessian(
            lambda x: (torch.tensor(weights) * ROWWISE[ours](x, dim=-1)).sum(), torch.tensor(x)
        )
        np.testing.assert_allclose(actual, expected, atol=1e-13)


@pytest.mark.parametrize("function", ALL, ids=lambda f: f.__name__)
def test_integers_are_refused_by_name(function):
    with pytest.raises(ValueError, match=f"{function.__name__}: argument `x` must be Float"):
        function(jnp.arange(3))


@pytest.mark.parametrize(("ours", "theirs"), [(F.softmax, jax.nn.softmax), (F.log_softmax, jax.nn.log_softmax)])
def test_several_axes_are_one_row(ours, theirs, rng):
    with float64():
        x, weights = rng.standard_normal((2, 2, 3, 4))
        axes = ((0, 2), (-1, -2), (1,), ())

        @partial(jax.jit, static_argnums=0)
        def values_and_gradients(f, x):
            return [jax.value_and_grad(lambda x, axis=axis: jnp.sum(weights * f(x, axis=axis)))(x) for axis in axes]

        for found, expected in zip(values_and_gradients(ours, x), values_and_gradients(theirs, x), strict=True):
            np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
            np.testing.assert_allclose(found[1], expected[1], rtol=1e-12, atol=1e-14)
        masked = jnp.asarray(x).at[1].set(-INF)
        flat = ours(masked.swapaxes(0, 1).reshape(3, 8)).reshape(3, 2, 4).swapaxes(0, 1)
        np.testing.assert_allclose(ours(masked, axis=(0, 2)), flat, rtol=1e-13)
        np.testing.assert_array_equal(derivative(lambda x: ours(x, axis=(1, 2)), masked)[1], np.zeros((3, 4)))
    with pytest.raises(ValueError, match="duplicate value in 'axis'"):
        ours(x, axis=(0, 0))


def test_an_axis_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="axis 2 is out of bounds"):
        F.softmax(jnp.zeros((3, 3)), axis=2)


def test_sparsemax_equals_the_projection_of_optax_in_value_and_gradient_along_either_axis(rng):
    x, weights = rng.standard_normal((5, 6)) * [[0.01], [0.3], [1], [3], [1e3]], rng.standard_normal((5, 6))
    with float64():
        expected, slope = value_and_pullback(jax.vmap(optax.projections.projection_simplex), x, weights)
        y, gradient = value_and_pullback(F.sparsemax, x, weights)
        np.testing.assert_allclose(y, expected, atol=1e-13)
        np.testing.assert_allclose(gradient, slope, atol=1e-13)
        y, gradient = value_and_pullback(partial(F.sparsemax, axis=0), x.T, weights.T)
        np.testing.assert_allclose(y.T, expected, atol=1e-13)
        np.testing.assert_allclose(gradient.T, slope, atol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sparsemax_is_exact_where_one_or_all_entries_share(dtype):
    with jax.enable_x64(dtype == "float64"):
        x = jnp.asarray([[5, 4, 0], [2, 2, 2], [-1e4, -1e4, -INF]], dtype)
        y = jax.jit(F.sparsemax)(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(
        np.asarray(y, np.float64), [[1, 0, 0], [1 / 3] * 3, [0.5, 0.5, 0]], rtol=TOLERANCE[dtype]
    )
