import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fjdl.functional import average_pool2d, max_pool2d
from tests.support import TOLERANCE, float64

AVERAGE, MAXIMUM = torch.nn.functional.avg_pool2d, torch.nn.functional.max_pool2d
BOTH = pytest.mark.parametrize(
    ("ours", "theirs"), [(average_pool2d, AVERAGE), (max_pool2d, MAXIMUM)], ids=["average", "max"]
)
GRID = [
    {"window": 2},
    {"window": (2, 3)},
    {"window": 3, "stride": 2},
    {"window": 3, "stride": 1, "padding": 1},
    {"window": (3, 2), "stride": (1, 3), "padding": ((1, 1), (0, 0))},
    {"window": 2, "stride": 3},
    {"window": 1},
    {"window": (5, 7)},
    {"window": 5, "padding": 2},
]


def torch_pool(pool, x, *, window, stride=None, padding=0):
    """Torch allows no padding beyond half a window, and only the same on both sides of an axis."""
    if isinstance(padding, tuple):
        padding = tuple(low for low, _ in padding)
    return pool(x.permute(0, 3, 1, 2), window, stride, padding).permute(0, 2, 3, 1)


def value_and_gradient(function, x, cotangent):
    y, pullback = jax.vjp(function, jnp.asarray(x))
    return y, pullback(jnp.asarray(cotangent, y.dtype))[0]


def assert_equals_torch(ours, theirs, x, **options):
    tensor = torch.tensor(x, requires_grad=True)
    y = torch_pool(theirs, tensor, **options)
    cotangent = np.random.default_rng(3).standard_normal(tuple(y.shape))
    y.backward(torch.tensor(cotangent))
    with float64():
        value, gradient = jax.jit(partial(value_and_gradient, partial(ours, **options)))(x, cotangent)
    np.testing.assert_allclose(value, y.detach(), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(gradient, np.asarray(tensor.grad), rtol=1e-12, atol=1e-13)


@BOTH
@pytest.mark.parametrize("options", GRID, ids=str)
def test_value_and_gradient_equal_torch(options, ours, theirs, rng):
    assert_equals_torch(ours, theirs, rng.standard_normal((2, 7, 9, 3)), **options)


@pytest.mark.parametrize("options", GRID, ids=str)
def test_the_gradient_of_a_tie_after_relu_goes_to_the_first_entry_as_in_torch(options, rng):
    x = np.maximum(np.round(rng.standard_normal((2, 7, 9, 3))), 0)
    assert_equals_torch(max_pool2d, MAXIMUM, x, **options)


@pytest.mark.parametrize("options", GRID, ids=str)
def test_padding_never_wins_over_negative_entries(options, rng):
    assert_equals_torch(max_pool2d, MAXIMUM, rng.uniform(-9, -1, (2, 7, 9, 3)), **options)


@given(
    size=st.tuples(st.integers(1, 8), st.integers(1, 8)),
    window=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    padded=st.booleans(),
)
@settings(max_examples=10, deadline=None)
def test_random_geometry_equals_torch(size, window, stride, padded):
    padding = tuple((k // 2 * padded,) * 2 for k in window)
    assume(all(n + 2 * low >= k for n, k, (low, _) in zip(size, window, padding, strict=True)))
    x = np.random.default_rng(0).integers(-2, 3, (1, *size, 2)).astype(np.float64)
    for ours, theirs in ((average_pool2d, AVERAGE), (max_pool2d, MAXIMUM)):
        assert_equals_torch(ours, theirs, x, window=window, stride=stride, padding=padding)


def test_equal_entries_give_the_whole_gradient_to_the_first_in_row_order():
    gradient = jax.grad(lambda x: jnp.sum(max_pool2d(x, window=2)))(jnp.zeros((1, 4, 4, 1)))
    first = np.kron(np.ones((2, 2)), [[1, 0], [0, 0]])
    np.testing.assert_array_equal(gradient[0, :, :, 0], first)


@BOTH
def test_a_nan_is_the_result_of_every_window_that_holds_it_and_of_no_other(ours, theirs):
    x = np.zeros((1, 6, 6, 1), np.float32)
    x[0, 2, 3, 0] = np.nan
    y = ours(x, window=3, stride=1)
    expected = torch_pool(theirs, torch.tensor(x), window=3, stride=1)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(expected.numpy()))
    assert 0 < np.isnan(y).sum() < y.size


def test_infinities_are_ordinary_entries_of_a_maximum():
    x = jnp.asarray([[-jnp.inf, -jnp.inf, jnp.inf, 0.0]]).reshape(1, 1, 4, 1)
    np.testing.assert_array_equal(max_pool2d(x, window=(1, 2)).ravel(), [-jnp.inf, jnp.inf])


@BOTH
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_summed_in_float32_and_rounded_once(ours, theirs, dtype, rng):
    x = jnp.asarray(rng.standard_normal((1, 34, 34, 2)), dtype)
    exact = torch_pool(theirs, torch.tensor(np.asarray(x, np.float64)), window=17)
    y = ours(x, window=17)
    assert y.dtype == dtype
    np.testing.assert_allclose(np.asarray(y, np.float64), exact, rtol=TOLERANCE[dtype] / 2, atol=1e-6)


def test_large_float16_entries_do_not_overflow_in_the_sum():
    x = jnp.full((1, 4, 4, 1), 60_000, jnp.float16)
    np.testing.assert_array_equal(average_pool2d(x, window=4), jnp.full((1, 1, 1, 1), 60_000, jnp.float16))


@BOTH
def test_same_padding_has_the_size_over_the_stride_rounded_up(ours, theirs):
    assert ours(jnp.ones((1, 5, 7, 2)), window=3, stride=2, padding="SAME").shape == (1, 3, 4, 2)


def test_same_padding_counts_as_zeros_of_an_average():
    y = average_pool2d(jnp.ones((1, 3, 3, 1)), window=3, stride=1, padding="SAME")[0, :, :, 0]
    np.testing.assert_allclose(y, np.array([[4, 6, 4], [6, 9, 6], [4, 6, 4]]) / 9, rtol=1e-6)


@BOTH
@pytest.mark.parametrize("batch", [(), (0,), (2, 3)], ids=str)
def test_any_number_of_batch_axes_and_an_empty_batch_work(batch, ours, theirs):
    x = jnp.ones((*batch, 5, 4, 3))
    y, gradient = value_and_gradient(partial(ours, window=2), x, np.ones((*batch, 2, 2, 3)))
    assert (y.shape, gradient.shape) == ((*batch, 2, 2, 3), x.shape)
    np.testing.assert_array_equal(y, np.ones(y.shape))


@BOTH
def test_tangents_equal_finite_differences(ours, theirs, rng):
    with float64():
        x, direction = jnp.asarray(rng.standard_normal((2, 1, 7, 7, 2)))
        function = partial(ours, window=3, stride=2)
        tangent = jax.jvp(function, (x,), (direction,))[1]
        difference = (function(x + 1e-6 * direction) - function(x - 1e-6 * direction)) / 2e-6
        np.testing.assert_allclose(tangent, difference, atol=1e-8)


@BOTH
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "window must be at least 1, got 0"),
        ({"window": 2, "stride": (0, 1)}, "stride must be at least 1, got (0, 1)"),
        ({"window": 2, "padding": -1}, "padding must not be negative, got -1"),
        ({"window": 2, "padding": 2}, "padding must be smaller than the window, got padding 2 and window 2"),
        ({"window": 3, "padding": ((0, 3), (0, 0))}, "padding must be smaller than the window, got padding ((0, 3)"),
        ({"window": 7}, "the window must fit into the padded image, got window 7"),
        ({"window": (6, 1)}, "the window must fit into the padded image, got window 6 (dilation 1) on size 5"),
    ],
    ids=str,
)
def test_impossible_options_are_refused(options, message, ours, theirs):
    with pytest.raises(ValueError, match=re.escape(message)):
        ours(jnp.ones((1, 5, 6, 2)), **options)


@BOTH
def test_images_without_channels_are_refused_by_name(ours, theirs):
    with pytest.raises(ValueError, match=r"2d: argument `x` must be Float\[Array, '\*batch h w c'\], got f32\[4,4\]"):
        ours(jnp.ones((4, 4)), window=2)
