import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings, strategies as st

from fjdl.functional.pool.fixed import average_pool2d, global_max_pool2d, max_pool1d, max_pool2d, max_pool3d
from fjdl.functional.pool.windows import windows_of
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
    {"window": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"window": (2, 4), "stride": 3, "ceil_mode": True},
]
MAXIMUM_ONLY = [
    {"window": 2, "stride": 1, "dilation": 3},
    {"window": 3, "stride": 2, "padding": 1, "dilation": (1, 2), "ceil_mode": True},
    {"window": (2, 3), "stride": (5, 2), "dilation": (4, 3)},
    {"window": 7, "stride": 1, "padding": 3},
]


def torch_pool(pool, x, *, window, stride=None, padding=0, **options):
    """Torch allows no padding beyond half a window, and only the same on both sides of an axis."""
    if isinstance(padding, tuple):
        padding = tuple(low for low, _ in padding)
    return pool(x.permute(0, 3, 1, 2), window, stride, padding, **options).permute(0, 2, 3, 1)


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


@pytest.mark.parametrize("options", GRID + MAXIMUM_ONLY, ids=str)
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
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(max_pool2d(x, window=2))))(jnp.zeros((1, 4, 4, 1)))
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


def test_of_a_window_of_minus_infinity_at_the_border_the_first_entry_takes_the_gradient_and_not_the_padding():
    x = np.full((1, 4, 4, 1), -np.inf)
    assert_equals_torch(max_pool2d, MAXIMUM, x, window=3, stride=2, padding=1)
    assert_equals_torch(max_pool2d, MAXIMUM, x, window=3, stride=1, padding=1)


def test_of_several_nans_the_first_takes_the_gradient():
    x = jnp.asarray([[1.0, jnp.nan, jnp.nan]]).reshape(1, 1, 3, 1)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(max_pool2d(x, window=(1, 3)))))(x)
    np.testing.assert_array_equal(gradient.ravel(), [0, 1, 0])


def test_infinities_are_ordinary_entries_of_a_maximum():
    x = jnp.asarray([[-jnp.inf, -jnp.inf, jnp.inf, 0.0]]).reshape(1, 1, 4, 1)
    np.testing.assert_array_equal(max_pool2d(x, window=(1, 2)).ravel(), [-jnp.inf, jnp.inf])


@BOTH
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_summed_in_float32_and_rounded_once(ours, theirs, dtype, rng):
    x = jnp.asarray(rng.standard_normal((1, 34, 34, 2)), dtype)
    exact = torch_pool(theirs, torch.tensor(np.asarray(x, np.float64)), window=17)
    y = jax.jit(partial(ours, window=17))(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(np.asarray(y, np.float64), exact, rtol=TOLERANCE[dtype] / 2, atol=1e-6)


def test_the_gradient_of_an_entry_of_many_windows_is_summed_in_float32_and_rounded_once(rng):
    x = jnp.zeros((1, 5, 5, 1), jnp.bfloat16).at[0, 2, 2, 0].set(1)
    cotangent = jnp.asarray(rng.uniform(1, 2, (1, 3, 3, 1)), jnp.bfloat16)
    _, pullback = jax.vjp(partial(max_pool2d, window=3, stride=1), x)
    (gradient,) = pullback(cotangent)
    total = np.asarray(cotangent, np.float64).sum()
    np.testing.assert_array_equal(gradient, jnp.zeros_like(x).at[0, 2, 2, 0].set(jnp.bfloat16(total)))


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
    y, gradient = jax.jit(partial(value_and_gradient, partial(ours, window=2)))(x, np.ones((*batch, 2, 2, 3)))
    assert (y.shape, gradient.shape) == ((*batch, 2, 2, 3), x.shape)
    np.testing.assert_array_equal(y, np.ones(y.shape))


@BOTH
def test_tangents_equal_finite_differences(ours, theirs, rng):
    with float64():
        x, direction = jnp.asarray(rng.standard_normal((2, 1, 7, 7, 2)))
        function = jax.jit(partial(ours, window=3, stride=2))
        tangent = jax.jvp(function, (x,), (direction,))[1]
        difference = (function(x + 1e-6 * direction) - function(x - 1e-6 * direction)) / 2e-6
        np.testing.assert_allclose(tangent, difference, atol=1e-8)


def test_overlapping_pooling_shares_an_entry_among_windows_and_adds_their_gradients():
    """Windows of 3 every 2 (Krizhevsky et al. 2012): the peak at (2, 2) lies in four of them."""
    x = jnp.zeros((1, 5, 5, 1)).at[0, 2, 2, 0].set(1.0)
    overlapping = jax.jit(partial(value_and_gradient, partial(max_pool2d, window=3, stride=2)))
    y, gradient = overlapping(x, np.arange(1.0, 5).reshape(1, 2, 2, 1))
    np.testing.assert_array_equal(y, np.ones((1, 2, 2, 1)))
    np.testing.assert_array_equal(gradient, 10 * x)


@pytest.mark.parametrize("options", [{"window": 2}, {"window": 3, "stride": 2, "padding": 1}], ids=str)
def test_second_derivatives_inside_of_scan_and_vmap_equal_torch(options, rng):
    x, direction = rng.standard_normal((2, 2, 1, 5, 6, 2))

    def curved(image):
        return jnp.sum(max_pool2d(jnp.sin(image), **options) ** 3)

    def total(images):
        return jax.lax.scan(lambda carry, image: (carry + curved(image), None), 0.0, images)[0]

    @jax.jit
    @jax.vmap
    def slope_and_curve(images, direction):
        return jax.jvp(jax.grad(total), (images[None],), (direction[None],))

    tensor = torch.tensor(x[:, 0], requires_grad=True)
    loss = (torch_pool(MAXIMUM, tensor.sin(), **options) ** 3).sum()
    (slope,) = torch.autograd.grad(loss, tensor, create_graph=True)
    (curve,) = torch.autograd.grad((slope * torch.tensor(direction[:, 0])).sum(), tensor)
    with float64():
        ours = slope_and_curve(jnp.asarray(x), jnp.asarray(direction))
    for a, b in zip(ours, (slope.detach(), curve), strict=True):
        np.testing.assert_allclose(a[:, 0, 0], b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("window", [2, 3])
def test_the_gradient_of_tiles_is_one_pass_without_slices_to_put_back(window):
    x, y = jnp.ones((1, 6, 6, 2)), jnp.ones((1, 6 // window, 6 // window, 2))
    text = jax.jit(partial(value_and_gradient, partial(max_pool2d, window=window))).lower(x, y).as_text()
    assert not re.search(r"stablehlo\.(scatter|gather|select_and_scatter|reduce_window)", text)
    assert not re.search(r"interior = \[[0, ]*[1-9]", text)


def test_a_window_of_more_entries_than_a_byte_counts_finds_the_last():
    x = jnp.zeros((1, 17, 17, 1)).at[0, 16, 16, 0].set(1.0)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(max_pool2d(x, window=17))))(x)
    np.testing.assert_array_equal(gradient, x)


@pytest.mark.parametrize(
    ("ours", "theirs", "shape", "options"),
    [
        (max_pool1d, torch.nn.functional.max_pool1d, (2, 9, 3), {"window": 3, "stride": 2}),
        (max_pool3d, torch.nn.functional.max_pool3d, (1, 5, 4, 5, 2), {"window": 3, "stride": 2, "padding": 1}),
    ],
    ids=["1d", "3d"],
)
def test_ties_in_sequences_and_volumes_go_to_the_first_entry_as_in_torch(ours, theirs, shape, options, rng):
    x = np.maximum(np.round(rng.standard_normal(shape)), 0)
    tensor = torch.tensor(x, requires_grad=True)
    window, stride, padding = (options.get(name, 0) for name in ("window", "stride", "padding"))
    y = theirs(tensor.movedim(-1, 1), window, stride, padding).movedim(1, -1)
    y.sum().backward()
    value, gradient = jax.jit(partial(value_and_gradient, partial(ours, **options)))(x, np.ones(y.shape))
    np.testing.assert_array_equal(value, y.detach())
    np.testing.assert_array_equal(gradient, np.asarray(tensor.grad))


def test_ties_of_a_global_maximum_go_to_the_first_entry():
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(global_max_pool2d(x))))(jnp.ones((2, 2, 3, 1)))
    np.testing.assert_array_equal(gradient.reshape(2, 6), [[1, 0, 0, 0, 0, 0]] * 2)


@given(
    size=st.integers(1, 12),
    window=st.integers(1, 5),
    stride=st.integers(1, 6),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 3),
)
@settings(max_examples=40, deadline=None)
def test_sizes_with_ceil_mode_equal_torch(size, window, stride, padding, dilation):
    assume(2 * padding <= window)
    assume(size + 2 * padding > dilation * (window - 1))
    options = {"window": window, "stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": True}
    rows, columns = windows_of((1, size, size, 1), spatial=2, **options)
    assert (1, rows.output, columns.output, 1) == torch_pool(MAXIMUM, torch.ones(1, size, size, 1), **options).shape


@BOTH
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window": 0}, "window must be at least 1, got 0"),
        ({"window": 2, "stride": (0, 1)}, "stride must be at least 1, got (0, 1)"),
        ({"window": 2, "padding": ((0, 0), (-1, 0))}, "padding must not be negative, got ((0, 0), (-1, 0))"),
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
