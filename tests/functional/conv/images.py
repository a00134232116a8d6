"""Images, kernels and options of convolutions, and the same convolution in PyTorch and in JAX."""

import jax
import numpy as np
import pytest
import torch
from jax import lax

from fjdl.functional import conv2d
from tests.support import float64

FEW, MANY, MIXED = (
    (2, 3),
    (17, 18),
    (1, 20),
)  # input and output channels; up to 16 of both are computed as band matrices


REGIMES = pytest.mark.parametrize("channels", [FEW, MANY, MIXED], ids=["few", "many", "mixed"])
BOTH = pytest.mark.parametrize("channels", [FEW, MANY], ids=["few", "many"])


def images(channels, *, n=2, h=7, w=9):
    return np.random.default_rng(1).standard_normal((n, h, w, channels[0]))


def kernels(channels, *, window=(3, 4), groups=1):
    return np.random.default_rng(2).standard_normal((*window, channels[0] // groups, channels[1]))


def as_pair(value):
    return (value, value) if isinstance(value, int) else value


def explicit(padding, x, kernel, stride, dilation):
    """Padding as four numbers, by JAX's own rule for strings."""
    if isinstance(padding, int):
        return ((padding, padding), (padding, padding))
    if isinstance(padding, tuple):
        return padding
    window = [(k - 1) * d + 1 for k, d in zip(kernel.shape[:2], dilation, strict=True)]
    return lax.padtype_to_pads(x.shape[1:3], window, stride, padding)


def torch_conv(x, kernel, bias=None, *, stride=1, padding="SAME", dilation=1, groups=1):
    (top, bottom), (left, right) = explicit(padding, x, kernel, as_pair(stride), as_pair(dilation))
    x = torch.nn.functional.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom))
    weight = kernel.permute(3, 2, 0, 1).clone(memory_format=torch.contiguous_format)
    y = torch.nn.functional.conv2d(x.contiguous(), weight, bias, stride, 0, dilation, groups)
    return y.permute(0, 2, 3, 1)


def lax_conv(x, kernel, *, stride=(1, 1), padding="SAME"):
    return lax.conv_general_dilated(x, kernel, stride, padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))


def value_and_gradients(function, cotangent, *arrays):
    y, pullback = jax.vjp(function, *arrays)
    return y, *pullback(cotangent)


def assert_equals_torch(x, kernel, bias, **options):
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, kernel, bias)]
    y = torch_conv(*tensors, **options)
    cotangent = np.random.default_rng(3).standard_normal(tuple(y.shape))
    y.backward(torch.tensor(cotangent))
    with float64():
        run = jax.jit(lambda *arrays: value_and_gradients(lambda *a: conv2d(*a, **options), *arrays))
        actual = run(cotangent, x, kernel, bias)
    for ours, theirs in zip(actual, [y.detach(), *(tensor.grad for tensor in tensors)], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)
