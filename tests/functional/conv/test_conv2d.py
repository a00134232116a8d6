import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jax import lax

from fjdl.functional import conv2d
from tests.support import count_traces, float64

FEW, MANY, MIXED = (
    (2, 3),
    (17, 18),
    (1, 20),
)  # input and output channels; up to 16 of both are computed as band matrices
REGIMES = pytest.mark.parametrize("channels", [FEW, MANY, MIXED], ids=["few", "many", "mixed"])
BOTH = pytest.mark.parametrize("channels", [FEW, MANY], ids=["few", "many"])
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
