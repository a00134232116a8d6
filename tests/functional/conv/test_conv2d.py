import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings, strategies as st

from fjdl.functional import conv2d
from tests.functional.conv.images import (
    BOTH,
    FEW,
    MANY,
    MIXED,
    REGIMES,
    as_pair,
    assert_equals_torch,
    explicit,
    images,
    kernels,
    torch_conv,
    value_and_gradients,
)
from tests.support import count_traces

GRID = [
    {},
    {"padding": "VALID"},
    {"padding": 2},
    {"padding": ((0, 1), (2, 0))},
    {"stride": 2},
    {"stride": (3, 2), "padding": "VALID"},
    {"stride": 4, "padding": 1},
    {"dilation": 2},
    {"dilation": (1, 3), "stride": 2, "padding": 3},
]


@BOTH
@pytest.mark.parametrize("options", GRID, ids=str)
def test_value_and_gradients_equal_torch(options, channels):
    x, kernel = images(channels), kernels(channels)
    assert_equals_torch(x, kernel, np.linspace(-1, 1, channels[1]), **options)


@pytest.mark.parametrize("window", [(1, 1), (1, 5), (5, 1), (2, 2), (7, 9)], ids=str)
@BOTH
def test_windows_of_every_form_equal_torch(window, channels):
    assert_equals_torch(images(channels), kernels(channels, window=window), np.zeros(channels[1]), padding="VALID")


@pytest.mark.parametrize(("channels", "groups"), [((4, 6), 2), ((6, 6), 6), ((3, 12), 3), ((34, 36), 2)])
@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": "VALID"}], ids=str)
def test_grouped_and_depthwise_convolutions_equal_torch(options, channels, groups):
    x, kernel = images(channels), kernels(channels, groups=groups)
    assert_equals_torch(x, kernel, np.ones(channels[1]), groups=groups, **options)


@pytest.mark.parametrize("options", [{}, {"stride": 2}], ids=str)
@pytest.mark.parametrize("channels", [FEW, MANY, MIXED], ids=str)
def test_no_images_have_no_outputs_and_a_kernel_gradient_of_zero(channels, options):
    x, kernel = jnp.zeros((0, 30, 30, channels[0])), jnp.asarray(kernels(channels), jnp.float32)
    y, pullback = jax.vjp(lambda x, k: conv2d(x, k, **options), x, kernel)
    x_gradient, kernel_gradient = pullback(y)
    assert y.shape == (0, *[30 // options.get("stride", 1)] * 2, channels[1])
    assert x_gradient.shape == x.shape
    np.testing.assert_array_equal(kernel_gradient, np.zeros(kernel.shape))


@pytest.mark.parametrize(("h", "w", "n"), [(15, 16, 3), (64, 32, 4)])
def test_large_images_equal_torch(h, w, n):
    x, kernel = images(MANY, n=n, h=h, w=w), kernels(MANY, window=(3, 3))
    assert_equals_torch(x, kernel, np.zeros(MANY[1]), padding=((1, 1), (2, 0)))


@given(
    h=st.integers(1, 9),
    w=st.integers(1, 9),
    window=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    channels=st.tuples(st.sampled_from([1, 2, 5, 16, 17]), st.sampled_from([1, 3, 16, 17])),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.sampled_from([1, 1, (1, 2), (2, 1)]),
    padding=st.sampled_from(["SAME", 3, ((3, 3), (6, 4))]),
)
@settings(max_examples=10, deadline=None)
def test_random_geometry_equals_torch(h, w, window, channels, stride, dilation, padding):
    spread = [(k - 1) * d + 1 for k, d in zip(window, as_pair(dilation), strict=True)]
    pads = explicit(padding, np.zeros((1, h, w, 1)), np.zeros(window), stride, as_pair(dilation))
    assume(all(size + sum(sides) >= reach for size, sides, reach in zip((h, w), pads, spread, strict=True)))
    x, kernel = images(channels, h=h, w=w), kernels(channels, window=window)
    assert_equals_torch(x, kernel, np.zeros(channels[1]), stride=stride, dilation=dilation, padding=padding)


@REGIMES
def test_bfloat16_is_accumulated_in_float32(channels):
    x, kernel = jnp.asarray(images(channels), jnp.bfloat16), jnp.asarray(kernels(channels), jnp.bfloat16)
    tensors = [torch.tensor(np.asarray(a, np.float64), requires_grad=True) for a in (x, kernel)]
    y = torch_conv(*tensors)
    y.backward(torch.ones_like(y))
    run = jax.jit(lambda *arrays: value_and_gradients(conv2d, *arrays))
    actual = run(jnp.ones(tuple(y.shape), jnp.bfloat16), x, kernel)
    for ours, theirs in zip(actual, [y.detach(), *(tensor.grad for tensor in tensors)], strict=True):
        assert ours.dtype == jnp.bfloat16
        np.testing.assert_allclose(np.asarray(ours, np.float64), theirs, rtol=2**-8, atol=1e-5)


def test_4096_small_terms_do_not_get_lost_in_bfloat16():
    x = jnp.full((1, 4, 4, 256), 1e-2, jnp.bfloat16).at[0, 0, 0, 0].set(256.0)
    y = conv2d(x, jnp.ones((4, 4, 256, 17)), jnp.ones(17), padding="VALID")
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.asarray(y, np.float64), 256 + 4095 * 1e-2 + 1, rtol=2**-7)


def test_the_bias_gradient_of_a_large_bfloat16_image_is_summed_in_float32():
    x, kernel = jnp.ones((1, 64, 65, 1), jnp.bfloat16), jnp.ones((1, 1, 1, 2), jnp.bfloat16)
    gradient = jax.grad(lambda b: conv2d(x, kernel, b).astype(jnp.float32).sum())(jnp.zeros(2))
    np.testing.assert_array_equal(gradient, [4160.0, 4160.0])


def test_float16_gradients_sum_without_overflow_on_the_way():
    x, kernel = jnp.ones((1, 300, 300, 1), jnp.float16), jnp.ones((1, 1, 1, 1), jnp.float32)
    gradient = jax.grad(lambda b: conv2d(x, kernel, b).astype(jnp.float32).sum())(jnp.zeros(1))
    np.testing.assert_array_equal(gradient, [90000.0])


def test_the_kernel_is_not_flipped():
    impulse = jnp.zeros((1, 3, 3, 1)).at[0, 1, 1, 0].set(1.0)
    kernel = jnp.arange(9.0).reshape(3, 3, 1, 1)
    np.testing.assert_array_equal(conv2d(impulse, kernel)[0, :, :, 0], jnp.arange(9.0)[::-1].reshape(3, 3))


@pytest.mark.parametrize("batch", [(), (0,), (1,), (2, 3), (0, 2)], ids=str)
@BOTH
def test_any_number_of_batch_axes_and_an_empty_batch_work(batch, channels):
    x, kernel = jnp.ones((*batch, 5, 4, channels[0])), jnp.ones((3, 3, *channels))
    y, x_gradient, kernel_gradient = value_and_gradients(conv2d, jnp.ones((*batch, 5, 4, channels[1])), x, kernel)
    assert (y.shape, x_gradient.shape) == ((*batch, 5, 4, channels[1]), x.shape)
    if 0 in batch:
        np.testing.assert_array_equal(kernel_gradient, np.zeros(kernel.shape))


def test_a_missing_bias_is_no_bias():
    x, kernel = images(FEW).astype(np.float32), kernels(FEW).astype(np.float32)
    np.testing.assert_array_equal(conv2d(x, kernel), conv2d(x, kernel, np.zeros(3, np.float32)))


def test_nan_spreads_to_its_neighbours_alone():
    x = jnp.zeros((1, 9, 9, 1)).at[0, 4, 4, 0].set(jnp.nan)
    affected = np.argwhere(np.isnan(conv2d(x, jnp.ones((3, 3, 1, 17)))[0, :, :, 0]))
    assert affected.min() == 3
    assert affected.max() == 5


def test_parameters_of_another_dtype_are_cast_to_that_of_the_images():
    with jax.numpy_dtype_promotion("strict"):
        y = conv2d(jnp.ones((1, 3, 3, 2), jnp.bfloat16), jnp.ones((3, 3, 2, 4)), jnp.ones(4))
    assert y.dtype == jnp.bfloat16


def test_another_geometry_compiles_again_and_the_same_does_not():
    function, traces = count_traces(lambda x, k: conv2d(x, k))
    for value in (0.0, 1.0):
        function(jnp.full((1, 4, 4, 2), value), jnp.ones((3, 3, 2, 2)))
    assert len(traces) == 1
    function(jnp.ones((1, 5, 4, 2)), jnp.ones((3, 3, 2, 2)))
    assert len(traces) == 2


IMAGE, KERNEL = jnp.ones((1, 5, 6, 4)), jnp.ones((3, 3, 4, 6))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 0}, "stride must be at least 1, got 0"),
        ({"stride": (1, -2)}, "stride must be at least 1, got (1, -2)"),
        ({"dilation": 0}, "dilation must be at least 1, got 0"),
        ({"padding": -1}, "padding must not be negative, got -1"),
        ({"padding": ((0, 0), (1, -1))}, "padding must not be negative, got ((0, 0), (1, -1))"),
        ({"groups": 2}, "groups must divide the channels"),
        ({"groups": 0}, "got groups=0, 4 input channels and a kernel of shape (3, 3, 4, 6)"),
        (
            {"dilation": 3, "padding": "VALID"},
            "the window must fit into the padded image, got window 3 (dilation 3) on size 5 with padding (0, 0)",
        ),
        ({"padding": "same"}, "conv2d: argument `padding` must be"),
        ({"stride": 1.5}, "conv2d: argument `stride` must be"),
    ],
    ids=str,
)
def test_impossible_options_are_refused_in_one_sentence(options, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        conv2d(IMAGE, KERNEL, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("kernel", "options", "message"),
    [
        ((7, 1, 4, 6), {"padding": "VALID"}, "got window 7 (dilation 1) on size 5 with padding (0, 0)"),
        ((1, 9, 4, 6), {"padding": 1}, "got window 9 (dilation 1) on size 6 with padding (1, 1)"),
        ((3, 3, 3, 6), {}, "groups must divide the channels"),
        ((3, 3, 2, 5), {"groups": 2}, "groups must divide the channels"),
        ((0, 3, 4, 6), {}, "kernel must have no empty axis, got shape (0, 3, 4, 6)"),
        ((3, 3, 4), {}, "conv2d: argument `kernel` must be Float[Array, 'kh kw c_group c_out']"),
    ],
    ids=str,
)
def test_a_kernel_that_does_not_fit_is_refused(kernel, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        conv2d(IMAGE, jnp.ones(kernel), **options)


def test_a_bias_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"conv2d: argument `bias` must be Float\[Array, 'c_out'\]"):
        conv2d(IMAGE, KERNEL, jnp.ones(5))


def test_integer_images_are_refused():
    with pytest.raises(ValueError, match=r"argument `x` must be Float\[Array, '\*batch h w c_in'\]"):
        conv2d(jnp.ones((1, 5, 6, 4), jnp.int32), KERNEL)
