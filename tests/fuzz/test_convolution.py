"""Convolutions against PyTorch in float64 on the same numbers, of hostile entries and scales."""

from functools import partial

import jax
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from fjdl.functional import conv2d
from fjdl.functional.conv.algorithms import conv2d_fft, conv2d_im2col
from fjdl.functional.conv.conv1d import conv1d
from fjdl.functional.conv.conv3d import conv3d
from fjdl.functional.conv.gradients import conv2d_input_gradient, conv2d_kernel_gradient
from fjdl.functional.conv.transposed import conv_transpose1d, conv_transpose2d, conv_transpose3d

pytestmark = pytest.mark.fuzz

F = torch.nn.functional
SCALES = st.sampled_from([1.0, 1.0, 1e-30, 1e-15, 1e-3, 1e3, 1e13])
ENTRIES = np.array([0.0, -0.0, 1.0, -1.0, 0.5, 3.0, -7.0, 1e-6, 1e-3, -4096.0, 1e4], np.float32)

# Spatial axes, size, window, channels in and out, and the options of a convolution.
GEOMETRIES = [
    ((7,), (3,), 4, 6, {"stride": (2,), "padding": (2,), "dilation": (2,), "groups": 2}),
    ((6,), (2,), 1, 3, {"stride": (3,), "padding": (0,), "dilation": (1,), "groups": 1}),
    ((5, 6), (3, 2), 3, 4, {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 1), "groups": 1}),
    ((4, 7), (2, 3), 4, 4, {"stride": (1, 3), "padding": (0, 3), "dilation": (2, 2), "groups": 4}),
    ((5, 5), (1, 4), 2, 6, {"stride": (3, 2), "padding": (2, 0), "dilation": (1, 1), "groups": 2}),
    ((5, 4), (3, 3), 18, 17, {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}),
    ((3, 4, 3), (2, 2, 3), 2, 4, {"stride": (1, 2, 1), "padding": (1, 0, 1), "dilation": (2, 1, 1), "groups": 2}),
]
CASES = st.sampled_from(range(len(GEOMETRIES)))


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """PyTorch's threads wait longer for each other than such small convolutions take."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def first(x):
    return x.movedim(-1, 1).contiguous()


def torch_kernel(kernel):
    return kernel.permute(-1, -2, *range(kernel.ndim - 2)).contiguous()


def ours_options(options):
    return options | {"padding": tuple((p, p) for p in options["padding"])}


def hostile(rng, shape, scale):
    """Entries of a short list, so that they tie and cancel, or smooth ones."""
    smooth = rng.standard_normal(shape).astype(np.float32)
    return (np.float32(scale) * (smooth if rng.random() < 0.5 else rng.choice(ENTRIES, shape))).astype(np.float32)


def exact(function, *arrays):
    """The value of a function of tensors in float64, and what it makes of absolute values, a bound of its rounding."""
    tensors = [torch.tensor(a, dtype=torch.float64) for a in arrays]
    return function(*tensors).numpy(), function(*(t.abs() for t in tensors)).numpy()


def assert_near(actual, value_and_size, *, units=4e-6):
    value, size = value_and_size
    excess = np.abs(np.asarray(actual, np.float64) - value) - units * size
    assert excess.max() < 1e-36


def torch_convolution(axes, options):
    name = getattr(F, f"conv{axes}d")
    return lambda x, kernel: name(first(x), torch_kernel(kernel), **options).movedim(1, -1)


FORWARD = [
    [
        jax.jit(partial(route, **ours_options(options)))
        for route in ({1: [conv1d], 2: [conv2d, conv2d_im2col], 3: [conv3d]}[len(size)])
    ]
    for size, *_, options in GEOMETRIES
]
FOURIER = [
    jax.jit(partial(conv2d_fft, **ours_options(options))) if len(size) == 2 else None
    for size, *_, options in GEOMETRIES
]


@settings(max_examples=2000, deadline=None, derandomize=True)
@given(CASES, st.integers(0, 2**32 - 1), SCALES, SCALES)
def test_convolutions_equal_torch_by_every_route(case, seed, scale, other):
    size, window, c_in, c_out, options = GEOMETRIES[case]
    rng = np.random.default_rng(seed)
    x = hostile(rng, (2, *size, c_in), scale)
    kernel = hostile(rng, (*window, c_in // options["groups"], c_out), other)
    expected = exact(torch_convolution(len(size), options), x, kernel)
    for route in FORWARD[case]:
        assert_near(route(x, kernel), expected)
    if FOURIER[case] is not None:
        # The transform rounds relative to the norms: of each image, and of each output's kernel.
        norms = np.linalg.norm(x.astype(np.float64).reshape(2, -1), axis=1)[:, None, None, None]
        norms = norms * np.linalg.norm(kernel.astype(np.float64).reshape(-1, c_out), axis=0)[None, None, None]
        assert_near(FOURIER[case](x, kernel), (expected[0], norms))


TRANSPOSED = [
    jax.jit(
        partial(
            (conv_transpose1d, conv_transpose2d, conv_transpose3d)[len(size) - 1],
            output_padding=tuple(s - 1 for s in options["stride"]),
            **ours_options(options),
        )
    )
    for size, *_, options in GEOMETRIES
]


@settings(max_examples=2000, deadline=None, derandomize=True)
@given(CASES, st.integers(0, 2**32 - 1), SCALES, SCALES)
def test_transposed_convolutions_equal_torch(case, seed, scale, other):
    size, window, c_out, c_in, options = GEOMETRIES[case]
    rng = np.random.default_rng(seed)
    x = hostile(rng, (2, *size, c_in), scale)
    kernel = hostile(rng, (*window, c_out // options["groups"], c_in), other)
    transpose = getattr(F, f"conv_transpose{len(size)}d")
    extra = tuple(s - 1 for s in options["stride"])
    expected = exact(
        lambda x, k: transpose(first(x), torch_kernel(k), output_padding=extra, **options).movedim(1, -1), x, kernel
    )
    assert_near(TRANSPOSED[case](x, kernel), expected)


FLAT = [geometry for geometry in GEOMETRIES if len(geometry[0]) == 2]
GRADIENTS = [
    (
        jax.jit(partial(conv2d_input_gradient, size=size, **ours_options(options))),
        jax.jit(partial(conv2d_kernel_gradient, window=window, **ours_options(options))),
    )
    for size, window, _, _, options in FLAT
]


@settings(max_examples=2000, deadline=None, derandomize=True)
@given(st.sampled_from(range(len(FLAT))), st.integers(0, 2**32 - 1), SCALES, SCALES)
def test_both_gradients_equal_torch(case, seed, scale, other):
    size, window, c_in, c_out, options = FLAT[case]
    rng = np.random.default_rng(seed)
    x = hostile(rng, (2, *size, c_in), scale)
    kernel = hostile(rng, (*window, c_in // options["groups"], c_out), scale)
    y = hostile(rng, tuple(torch_convolution(2, options)(torch.tensor(x), torch.tensor(kernel)).shape), other)
    of_input, of_kernel = GRADIENTS[case]
    images, weights = (2, c_in, *size), (c_out, c_in // options["groups"], *window)
    expected = exact(
        lambda y, k: torch.nn.grad.conv2d_input(images, torch_kernel(k), first(y), **options).movedim(1, -1), y, kernel
    )
    assert_near(of_input(y, kernel), expected)
    expected = exact(
        lambda x, y: torch.nn.grad.conv2d_weight(first(x), weights, first(y), **options).permute(2, 3, 1, 0), x, y
    )
    assert_near(of_kernel(x, y), expected)
