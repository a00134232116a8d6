import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax import lax

from fjdl.functional import conv2d
from tests.functional.conv.images import (
    BOTH,
    FEW,
    MANY,
    REGIMES,
    images,
    kernels,
    lax_conv,
    torch_conv,
)
from tests.support import float64


@BOTH
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)], ids=str)
def test_tangents_equal_those_of_the_plain_convolution(stride, channels):
    with float64():
        primals = images(channels), kernels(channels)
        tangents = images(channels) ** 2, kernels(channels) ** 2
        ours = jax.jvp(lambda *a: conv2d(*a, stride=stride), primals, tangents)
        theirs = jax.jvp(lambda *a: lax_conv(*a, stride=stride), primals, tangents)
    for actual, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-10)


@BOTH
@pytest.mark.parametrize("mode", [jax.jacfwd, jax.jacrev], ids=["forward", "reverse"])
def test_second_derivatives_in_both_modes_equal_those_of_the_plain_convolution(mode, channels):
    x, kernel = images(channels, n=1, h=3, w=3), kernels(channels, window=(2, 2))
    if channels == MANY:
        x, kernel = x[:, :2, :2, :], kernel[:1, :1]

    def second(conv):
        def loss(s, t):
            return jnp.sum(conv(s * x, t * kernel) ** 3)

        return jax.jit(mode(jax.grad(loss, (0, 1)), (0, 1)))(1.0, 2.0)

    with float64():
        np.testing.assert_allclose(second(conv2d), second(lax_conv), rtol=1e-10)


def test_the_hessian_of_a_small_kernel_equals_torch():
    x, kernel = images((1, 2), n=1, h=3, w=3), kernels((1, 2), window=(2, 2))
    with float64():
        actual = jax.jit(jax.hessian(lambda k: jnp.sum(jnp.tanh(conv2d(x, k, stride=2)))))(jnp.asarray(kernel))
    expected = torch.autograd.functional.hessian(
        lambda k: torch.tanh(torch_conv(torch.tensor(x), k, stride=2)).sum(), torch.tensor(kernel)
    )
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_third_derivatives_equal_those_of_the_plain_convolution():
    x, kernel = images(FEW, n=1, h=4, w=4), kernels(FEW, window=(2, 3))

    def third(conv):
        return jax.jit(jax.grad(jax.grad(jax.jacfwd(lambda t: jnp.sum(conv(t * x, t * kernel) ** 2)))))(1.5)

    with float64():
        np.testing.assert_allclose(third(conv2d), third(lax_conv), rtol=1e-10)


@BOTH
@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0), (1, 3)], ids=str)
def test_vmap_of_value_and_gradients_equals_a_loop(axes, channels):
    x = (
        np.stack([images(channels, n=1) + i for i in range(3)], axis=axes[0])
        if axes[0] is not None
        else images(channels)
    )
    kernel = kernels(channels)
    if axes[1] is not None:
        kernel = np.stack([kernel * (i + 1) for i in range(3)], axis=axes[1])

    def gradients(x, kernel):
        return jax.grad(lambda *a: jnp.sum(conv2d(*a) ** 2), (0, 1))(x, kernel)

    @jax.jit
    def plain(x, kernel):
        return jax.grad(lambda *a: jnp.sum(lax_conv(*a) ** 2), (0, 1))(x, kernel)

    def part(a, axis, i):
        return a if axis is None else np.take(a, i, axis)

    with float64():
        actual = jax.jit(jax.vmap(gradients, in_axes=axes))(x, kernel)
        expected = [plain(part(x, axes[0], i), part(kernel, axes[1], i)) for i in range(3)]
    for i, looped in enumerate(expected):
        for ours, theirs in zip(actual, looped, strict=True):
            np.testing.assert_allclose(ours[i], theirs, rtol=1e-9, atol=1e-9)


def train_step(kernel, x):
    value, (kernel_gradient, x_gradient) = jax.value_and_grad(lambda k, x: jnp.mean(conv2d(x, k) ** 2), (0, 1))(
        kernel, x
    )
    return kernel - 1e-2 * kernel_gradient, (value, x_gradient)


@REGIMES
def test_gradient_steps_inside_scan_equal_single_steps(channels):
    with float64():
        kernel, xs = jnp.asarray(kernels(channels)), jnp.asarray(images(channels, n=6).reshape(3, 2, 7, 9, channels[0]))
        scanned, (values, gradients) = jax.jit(lambda k: lax.scan(train_step, k, xs))(kernel)
        step = jax.jit(train_step)
        for i in range(3):
            kernel, (value, gradient) = step(kernel, xs[i])
            np.testing.assert_allclose(values[i], value, rtol=1e-12)
            np.testing.assert_allclose(gradients[i], gradient, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(scanned, kernel, rtol=1e-12, atol=1e-12)


@REGIMES
@pytest.mark.skipif(jax.default_backend() != "cpu", reason="layouts are chosen for XLA:CPU")
def test_a_scan_over_gradient_steps_compiles_to_no_layout_that_is_slow_on_cpu(channels):
    xs, kernel = jnp.zeros((3, 2, 7, 9, channels[0])), jnp.zeros((3, 3, *channels))
    text = jax.jit(lambda k: lax.scan(train_step, k, xs)).lower(kernel).compile().as_text()
    assert text is not None
    assert " while(" in text
    assert "f01b" not in text
    assert "01oi" not in text
    labels = set(re.findall(r"dim_labels=([^\s,]+)", text))
    assert labels == ({"b01f_01io->b01f"} if channels == MANY else set())
