from itertools import pairwise

import jax
import numpy as np
import pytest
import scipy.integrate
import torch

from fjdl.functional import activations, gates, rectifiers
from fjdl.functional.fans import fans, gain


def reached(layer, channels):
    """Inputs that one inner output depends on, and outputs that one inner input reaches, counted by gradients."""
    torch.nn.init.ones_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    x = torch.ones(1, channels, 9, 9, requires_grad=True)
    y = layer(x)
    (dx,) = torch.autograd.grad(y[0, 0, 4, 4], x)
    spike = torch.zeros(1, channels, 9, 9)
    spike[0, 0, 4, 4] = 1
    return int((dx != 0).sum()), int((layer(spike) != 0).sum())


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_fans_count_what_a_convolution_of_torch_connects(groups):
    layer = torch.nn.Conv2d(4, 8, 3, padding=1, groups=groups)
    kernel = layer.weight.permute(2, 3, 1, 0)
    assert fans(tuple(kernel.shape), groups=groups) == reached(layer, 4)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_fans_count_what_a_transposed_convolution_of_torch_connects(groups):
    layer = torch.nn.ConvTranspose2d(8, 4, 3, padding=1, groups=groups)
    kernel = layer.weight.permute(2, 3, 1, 0)  # [in, out / groups, h, w] to [h, w, out / groups, in]
    assert fans(tuple(kernel.shape), groups=groups, transposed=True) == reached(layer, 8)


def test_a_depthwise_kernel_sees_one_channel():
    assert fans((5, 5, 1, 32), groups=32) == (25, 25)
    assert fans((5, 5, 1, 64), groups=32) == (25, 50)


def test_a_dense_kernel_connects_all_inputs_with_all_outputs():
    assert fans((3, 7)) == torch.nn.init._calculate_fan_in_and_fan_out(torch.nn.Linear(3, 7).weight) == (3, 7)


@pytest.mark.parametrize("groups", [0, -1, 3])
def test_groups_that_do_not_divide_the_channels_are_refused(groups):
    with pytest.raises(ValueError, match=f"^groups must be positive and divide the last axis .*, got {groups} for"):
        fans((3, 3, 2, 8), groups=groups)


@pytest.mark.parametrize(
    ("activation", "name", "parameter"),
    [
        (activations.identity, "linear", None),
        (activations.relu, "relu", None),
        (lambda x: rectifiers.leaky_relu(x, negative_slope=0.3), "leaky_relu", 0.3),
    ],
)
def test_the_gain_of_rectifiers_equals_torch(activation, name, parameter):
    assert gain(activation) == pytest.approx(torch.nn.init.calculate_gain(name, parameter), rel=1e-6)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (activations.tanh, torch.tanh),
        (gates.gelu, torch.nn.functional.gelu),
        (rectifiers.selu, torch.nn.functional.selu),
        (rectifiers.hard_tanh, torch.nn.functional.hardtanh),
    ],
)
def test_the_gain_keeps_the_mean_square_of_a_normal_input(ours, theirs):
    def integrand(z):
        return theirs(torch.tensor(z, dtype=torch.float64)).item() ** 2 * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)

    pieces = [scipy.integrate.quad(integrand, a, b)[0] for a, b in pairwise([-12, -1, 0, 1, 12])]
    assert gain(ours) == pytest.approx(sum(pieces) ** -0.5, rel=1e-6)


def test_selu_has_gain_1():
    assert gain(rectifiers.selu) == pytest.approx(1, abs=1e-6)


def test_the_gain_is_a_number_even_while_jit_traces():
    assert jax.jit(lambda x: x * gain(activations.relu))(1.0) == pytest.approx(2**0.5, rel=1e-6)


def test_an_activation_without_a_mean_square_is_refused():
    for activation, value in ((lambda x: 0 * x, r"0\.0"), (lambda x: x / 0, "inf|nan")):
        with pytest.raises(ValueError, match=f"^activation must have a finite mean square above 0, got ({value})$"):
            gain(activation)


def test_fans_of_a_grouped_kernel_count_the_inputs_of_one_group():
    conv = torch.nn.Conv2d(8, 12, 3, groups=4)
    assert fans((3, 3, 2, 12)) == torch.nn.init._calculate_fan_in_and_fan_out(conv.weight)
