"""Padding by name: images that go on beyond their edges, and sequences with all zeros before them."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen

from fjdl import functional as F, nn
from tests.support import float64

MODES = {"CIRCULAR": "circular", "REFLECT": "reflect", "REPLICATE": "replicate"}
NUMPY = {"CIRCULAR": "wrap", "REFLECT": "reflect", "REPLICATE": "edge"}
CONVS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
every_name = pytest.mark.parametrize("name", MODES)


@every_name
@pytest.mark.parametrize(
    ("window", "dilation"), [((3,), (2,)), ((4,), (1,)), ((3, 2), (2, 3)), ((5, 1), (1, 1)), ((2, 3, 3), (1, 1, 2))]
)
def test_values_and_gradients_equal_torchs_padding_modes(name, window, dilation, rng):
    axes = len(window)
    x, kernel = rng.standard_normal((2, *(5, 6, 7)[:axes], 4)), rng.standard_normal((*window, 2, 6))
    conv = getattr(torch.nn, f"Conv{axes}d")
    twin = conv(4, 6, window, padding="same", dilation=dilation, groups=2, bias=False, padding_mode=MODES[name])
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, kernel)]
    weights = {"weight": tensors[1].permute(axes + 1, axes, *range(axes))}
    y = torch.func.functional_call(twin, weights, (tensors[0].movedim(-1, 1),)).movedim(1, -1)
    cotangent = rng.standard_normal(tuple(y.shape))
    y.backward(torch.tensor(cotangent))

    def run(cotangent, *arrays):
        y, pullback = jax.vjp(partial(CONVS[axes], padding=name, dilation=dilation, groups=2), *arrays)
        return y, *pullback(cotangent)

    with float64():
        actual = jax.jit(run)(cotangent, x, kernel)
    for ours, theirs in zip(actual, [y.detach(), *(tensor.grad for tensor in tensors)], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(
    ("name", "module", "shape"),
    [
        ("CIRCULAR", nn.Conv(3, (4, 3), stride=(2, 3), padding="CIRCULAR", dilation=(1, 2)), (2, 5, 6, 2)),
        ("REFLECT", nn.Conv(3, (4, 3), stride=(2, 3), padding="REFLECT", dilation=(1, 2)), (2, 5, 6, 2)),
        ("CAUSAL", nn.Conv1D(3, 4, stride=2, padding="CAUSAL", dilation=3), (2, 7, 2)),
        ("CIRCULAR", nn.Conv3D(3, 3, stride=2, padding="CIRCULAR"), (1, 3, 2, 4, 2)),
    ],
)
def test_layers_equal_those_of_flax_with_strides(name, module, shape, rng):
    x = rng.standard_normal(shape).astype(np.float32)
    axes = len(shape) - 2
    window, stride, dilation = (
        value if isinstance(value, tuple) else (value,) * axes
        for value in (module.window, module.stride, module.dilation)
    )
    twin = linen.Conv(3, window, strides=stride, padding=name, kernel_dilation=dilation)
    parameters = twin.init(jax.random.key(0), x)
    y = jax.jit(module.apply)(parameters, x)
    np.testing.assert_allclose(y, twin.apply(parameters, x), rtol=1e-5, atol=1e-6)
    assert module.cost(shape[1:]).output == y.shape[1:]


def grown(x, name, sides):
    return np.pad(x, ((0, 0), *sides, (0, 0)), mode=NUMPY[name])


@every_name
def test_every_algorithm_and_form_of_convolution_takes_the_names(name, rng):
    x = rng.standard_normal((2, 5, 6, 4))
    kernel, depthwise, pointwise, column, row = (
        rng.standard_normal(shape) for shape in ((3, 2, 4, 5), (3, 2, 1, 8), (1, 1, 8, 5), (3, 1, 4, 2), (1, 2, 2, 5))
    )
    options = {"stride": (2, 1), "dilation": (1, 3)}
    local = np.broadcast_to(kernel, (3, 6, *kernel.shape))
    calls = [
        (F.conv2d, (kernel,)),
        (F.conv2d_im2col, (kernel,)),
        (F.conv2d_fft, (kernel,)),
        (F.locally_connected2d, (local,)),
        (F.depthwise_conv2d, (depthwise,)),
        (F.separable_conv2d, (depthwise, pointwise)),
        (F.spatially_separable_conv2d, (column, row)),
    ]
    padded = grown(x, name, ((1, 1), (1, 2)))
    with float64():
        actual = jax.jit(lambda x: [f(x, *kernels, padding=name, **options) for f, kernels in calls])(x)
        wanted = jax.jit(lambda x: [f(x, *kernels, padding="VALID", **options) for f, kernels in calls])(padded)
    for ours, theirs in zip(actual, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(actual[1], actual[0], rtol=1e-11, atol=1e-11)


@every_name
def test_layers_of_every_form_take_the_names_and_count_their_outputs(name):
    layers = [
        nn.DepthwiseConv(3, padding=name),
        nn.SeparableConv(3, (3, 2), padding=name),
        nn.SpatiallySeparableConv(3, (2, 3), stride=2, padding=name),
        nn.LocallyConnected(3, 3, stride=2, padding=name),
    ]
    for layer in layers:
        y, variables = jax.eval_shape(layer.init_with_output, jax.random.key(0), jnp.zeros((1, 5, 6, 4)))
        row = layer.cost((5, 6, 4))
        assert row.output == y.shape[1:]
        assert row.parameters == sum(leaf.size for leaf in jax.tree.leaves(variables))


def test_causal_outputs_see_no_later_input():
    def last(x):
        return F.conv1d(x, jnp.ones((3, 1, 1)), padding="CAUSAL", dilation=2)[:, 0]

    seen = jax.jit(jax.jacobian(last))(jnp.zeros((6, 1)))[..., 0]
    np.testing.assert_array_equal(seen, [[float(s in (t, t - 2, t - 4)) for s in range(6)] for t in range(6)])


def test_the_gradient_of_an_edge_that_is_repeated_is_summed_in_float32():
    def gradient(dtype):
        x, kernel = jnp.ones((3, 1), dtype), jnp.ones((401, 1, 1), dtype)
        return jax.grad(lambda x: jnp.sum(F.conv1d(x, kernel, padding="REPLICATE").astype(jnp.float32)))(x)

    # Of the 200 copies of the first entry and itself, the windows meet one once, one twice and 199 three times.
    np.testing.assert_array_equal(gradient(jnp.float32)[:, 0], [600.0, 3.0, 600.0])
    np.testing.assert_array_equal(gradient(jnp.bfloat16)[:, 0], np.array([600.0, 3.0, 600.0], jnp.bfloat16))


@every_name
def test_sizes_may_be_left_open_by_export(name):
    kernel = jnp.ones((3, 2, 1, 1))
    conv = jax.jit(partial(F.conv2d, padding=name, stride=2, dilation=(1, 3)))
    shape = jax.export.symbolic_shape("b, h, w, 1", constraints=["h >= 4", "w >= 4"])
    exported = jax.export.export(conv)(jax.ShapeDtypeStruct(shape, jnp.float32), kernel)
    x = jnp.arange(35.0).reshape(1, 5, 7, 1)
    np.testing.assert_allclose(exported.call(x, kernel), conv(x, kernel))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.conv1d(jnp.ones((3, 1)), jnp.ones((7, 1, 1)), padding="REFLECT"),
         "padding 'REFLECT' must find at least 4 pixels along an axis for window 7 (dilation 1), got 3"),
        (lambda: F.conv2d(jnp.ones((2, 9, 1)), jnp.ones((3, 3, 1, 1)), padding="CIRCULAR", dilation=3),
         "padding 'CIRCULAR' must find at least 3 pixels along an axis for window 3 (dilation 3), got 2"),
        (lambda: F.conv1d(jnp.ones((0, 1)), jnp.ones((3, 1, 1)), padding="REPLICATE"),
         "padding 'REPLICATE' must find at least 1 pixels along an axis for window 3 (dilation 1), got 0"),
        (lambda: F.conv2d(jnp.ones((4, 4, 1)), jnp.ones((3, 3, 1, 1)), padding="MIRROR"),
         "padding` must be 'SAME' or 'VALID' or 'CIRCULAR' or 'REFLECT' or 'REPLICATE' or int"),
        (lambda: F.conv2d(jnp.ones((4, 4, 1)), jnp.ones((3, 3, 1, 1)), padding="CAUSAL"),
         "padding` must be 'SAME' or 'VALID' or 'CIRCULAR' or 'REFLECT' or 'REPLICATE' or int"),
        (lambda: F.conv1d(jnp.ones((4, 1)), jnp.ones((3, 1, 1)), padding="causal"),
         "'REPLICATE' or 'CAUSAL' or int"),
        (lambda: nn.Conv(1, 3, padding="CAUSAL").cost((4, 4, 1)),
         "padding 'CAUSAL' must be that of a sequence, got 2 axes"),
        (lambda: F.max_pool2d(jnp.ones((4, 4, 1)), window=3, padding="CIRCULAR"),
         "padding` must be 'SAME' or 'VALID' or int"),
    ],
)  # fmt: skip
def test_names_and_images_that_do_not_fit_are_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        call()
    assert "\n" not in str(error.value)


@every_name
def test_a_window_of_one_pixel_adds_nothing(name):
    x = jnp.arange(3.0).reshape(3, 1)
    np.testing.assert_array_equal(F.conv1d(x, jnp.ones((1, 1, 1)), padding=name), x)
