from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import torch

from fjdl.functional import gates
from fjdl.functional.activations import relu, sigmoid
from tests.support import float64

INF = np.inf
quick = partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
)
X = np.array([[-30.0, -2.0, -0.5, 0.0], [0.5, 2.0, 1e4, -1e4]])


@quick
def pulled(x, beta):
    value, pullback = jax.vjp(gates.swish, x, beta)
    return value, pullback(jnp.ones_like(value))


def test_gelu_in_float32_is_right_to_a_few_units_down_to_minus_13():
    x = np.linspace(-13, 13, 2001, dtype=np.float32)
    exact = np.float64(x) * np.exp(scipy.special.log_ndtr(np.float64(x)))
    np.testing.assert_allclose(gates.gelu(x), exact, rtol=6e-6, atol=2e-37)
    near = np.abs(x) < 2
    np.testing.assert_allclose(gates.gelu(x[near]), exact[near], rtol=6e-7)


def test_gelu_tanh_is_within_5e_4_of_gelu():
    x = np.linspace(-6, 6, 1201, dtype=np.float32)
    difference = np.abs(np.asarray(gates.gelu_tanh(x)) - np.asarray(gates.gelu(x)))
    assert 4e-4 < difference.max() < 5e-4


def test_e10_swish_is_not_gelu():
    assert gates.swish(jnp.float32(1.0), 1.0) == pytest.approx(1 / (1 + np.exp(-1)), rel=1e-6)
    assert gates.gelu(jnp.float32(1.0)) == pytest.approx(0.8413447, rel=1e-6)


def test_swish_is_silu_for_1_half_of_x_for_0_and_near_relu_for_a_large_beta():
    x = jnp.asarray(X, jnp.float32)
    np.testing.assert_allclose(gates.swish(x, 1.0), gates.silu(x), rtol=1e-6)
    np.testing.assert_array_equal(gates.swish(x), gates.swish(x, 1.0))
    np.testing.assert_array_equal(gates.swish(x, 0.0), x / 2)
    np.testing.assert_allclose(gates.swish(x, 1e3), relu(x), atol=1e-6)


@pytest.mark.parametrize("beta", [1.3, 0.0, -2.0, np.array([0.5, -1.0, 0.0, 3.0])], ids=str)
def test_swish_equals_torch_with_the_gradient_of_beta(beta):
    beta = np.asarray(beta)
    x, b = torch.tensor(X, requires_grad=True), torch.tensor(beta, requires_grad=True)
    expected = x * torch.sigmoid(b * x)
    expected.sum().backward()
    with float64():
        actual, (dx, dbeta) = pulled(jnp.asarray(X), jnp.asarray(beta))
    np.testing.assert_allclose(actual, expected.detach(), rtol=1e-12)
    np.testing.assert_allclose(dx, x.grad, rtol=1e-12)
    np.testing.assert_allclose(dbeta, b.grad, rtol=1e-10, atol=1e-12)


def test_second_derivatives_of_swish_equal_torch():
    points = np.array([[0.7, 1.3], [-1.5, 0.4], [0.9, 0.0]])
    with float64():
        hessian = jax.vmap(jax.hessian(lambda p: gates.swish(p[0], p[1])))
        actual = quick(hessian)(jnp.asarray(points))
    for hessian, point in zip(actual, points, strict=True):
        expected = torch.autograd.functional.hessian(lambda p: p[0] * torch.sigmoid(p[1] * p[0]), torch.tensor(point))
        np.testing.assert_allclose(hessian, expected, rtol=1e-11, atol=1e-12)


def test_infinite_inputs_of_swish_have_finite_gradients_of_input_and_beta():
    x, beta = jnp.array([INF, -INF, INF, -INF, INF]), jnp.array([1.0, 1.0, -1.0, -1.0, 0.0])
    _, (dx, dbeta) = pulled(x, beta)
    np.testing.assert_array_equal(dx, [1, 0, 0, 1, 0.5])
    np.testing.assert_array_equal(dbeta, [0, 0, 0, 0, INF])  # x² / 4 where beta is 0


def test_a_beta_that_is_learned_works_in_bfloat16_under_jit_and_forward_mode():
    x, beta = jnp.asarray([-1.0, 2.0], jnp.bfloat16), jnp.float32(1.5)
    gradient = jax.jit(jax.grad(lambda beta: gates.swish(x, beta).astype(jnp.float32).sum()))(beta)
    tangent = jax.jvp(lambda beta: gates.swish(x, beta), (beta,), (jnp.float32(1),))[1]
    slopes = np.array([1.0, 4.0]) * scipy.special.expit([-1.5, 3]) * scipy.special.expit([1.5, -3])
    assert (gradient.dtype, tangent.dtype) == (jnp.float32, jnp.bfloat16)
    np.testing.assert_allclose(gradient, slopes.sum(), rtol=1e-5)
    np.testing.assert_allclose(np.float32(tangent), slopes, rtol=2**-8)


def test_glu_is_the_first_half_times_the_sigmoid_of_the_second(rng):
    x = rng.standard_normal((2, 6, 3)).astype(np.float32)
    np.testing.assert_allclose(gates.glu(x, axis=1), x[:, :3] * sigmoid(x[:, 3:]), rtol=1e-6)
