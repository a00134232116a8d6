"""Gradients at kinks, pinned, and the exact GELU."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as T

from fjdl.functional import activations, gates, rectifiers


def assert_kinks(function, at, expected, theirs):
    """The gradient at each kink, from either zero, is the one expected, and PyTorch's."""
    actual = jax.vmap(jax.grad(function))(jnp.asarray(at, jnp.float32))
    x = torch.tensor(at, requires_grad=True)
    theirs(x).sum().backward()
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
    np.testing.assert_allclose(actual, x.grad, rtol=1e-6)


def test_kink_relu():
    assert_kinks(activations.relu, [-0.0, 0.0], [0, 0], torch.relu)


def test_kink_relu6():
    assert_kinks(rectifiers.relu6, [-0.0, 0.0, 6.0], [0, 0, 0], T.relu6)


def test_kink_leaky_relu():
    assert_kinks(rectifiers.leaky_relu, [-0.0, 0.0], [0.01, 0.01], T.leaky_relu)


def test_kink_prelu():
    slope = jnp.float32(0.25)
    assert_kinks(
        lambda x: rectifiers.prelu(x, slope), [-0.0, 0.0], [0.25, 0.25], lambda x: T.prelu(x, torch.tensor([0.25]))
    )
    assert jax.grad(lambda slope: rectifiers.prelu(jnp.float32(0.0), slope))(slope) == 0


def test_kink_elu():
    assert_kinks(partial(rectifiers.elu, alpha=2.0), [-0.0, 0.0], [2, 2], lambda x: T.elu(x, 2.0))
    assert_kinks(rectifiers.elu, [-0.0, 0.0], [1, 1], T.elu)


def test_kink_selu():
    both = 1.0507009873554805 * 1.6732632423543772
    assert_kinks(rectifiers.selu, [-0.0, 0.0], [both, both], T.selu)


def test_kink_celu():
    assert_kinks(partial(rectifiers.celu, alpha=2.0), [-0.0, 0.0], [1, 1], lambda x: T.celu(x, 2.0))


def test_kink_hard_tanh():
    assert_kinks(rectifiers.hard_tanh, [-1.0, 1.0], [0, 0], T.hardtanh)


def test_kink_hard_sigmoid():
    assert_kinks(rectifiers.hard_sigmoid, [-3.0, 3.0], [0, 0], T.hardsigmoid)


def test_kink_hard_swish():
    assert_kinks(rectifiers.hard_swish, [-3.0, 3.0], [0, 1], T.hardswish)


def test_kink_softshrink():
    assert_kinks(rectifiers.softshrink, [-0.5, -0.0, 0.0, 0.5], [0, 0, 0, 0], T.softshrink)


def test_kink_hardshrink():
    assert_kinks(rectifiers.hardshrink, [-0.5, -0.0, 0.0, 0.5], [0, 0, 0, 0], T.hardshrink)


def test_kink_softsign():
    assert_kinks(activations.softsign, [-0.0, 0.0], [1, 1], T.softsign)


def test_kink_maxout():
    kernel = jnp.array([[[-1.0, 1.0]]])
    assert_kinks(
        lambda x: rectifiers.maxout(x[None], kernel)[0], [-0.0, 0.0], [-1, -1],
        lambda x: torch.stack([-x, x], dim=-1).max(dim=-1).values,
    )  # fmt: skip


def test_kink_softmax_of_a_row_that_is_all_minus_infinity():
    value, pullback = jax.vjp(activations.softmax, jnp.full(3, -jnp.inf))
    np.testing.assert_array_equal([value, *pullback(jnp.arange(3.0))], np.zeros((2, 3)))


def test_r27_gelu_is_exact_by_default():
    one = jnp.float32(1.0)
    assert gates.gelu(one) == pytest.approx(0.8413447, abs=1e-7)
    assert gates.gelu_tanh(one) == pytest.approx(0.841192, abs=5e-7)
