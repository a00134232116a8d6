"""Pooling, unpooling and resizing of random images, hostile ones among them, against PyTorch in float64."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from fjdl.functional import resize
from fjdl.functional.pool import adaptive, fixed as pool, norm as pool_norm, unpool
from fjdl.functional.pool.windows import windows_of
from tests.support import float64

pytestmark = pytest.mark.fuzz

F: Any = torch.nn.functional
SHAPE = (1, 5, 6, 2)
ENTRIES = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-30, 1e30, -1e30]),
    st.integers(-2, 2).map(float),
    st.floats(-1e3, 1e3, allow_subnormal=False),
)
# XLA:CPU counts subnormal numbers as 0, so there are none here.
INFINITE = st.one_of(st.sampled_from([np.inf, -np.inf, 0.0, 1.0]), st.just(-np.inf))
IMAGES = arrays(np.float64, SHAPE, elements=ENTRIES)
WITH_INFINITIES = st.one_of(IMAGES, arrays(np.float64, SHAPE, elements=INFINITE))
GEOMETRIES: list[dict[str, Any]] = [
    {"window": 2},
    {"window": 3, "stride": 2},
    {"window": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"window": (3, 2), "stride": 1, "padding": (1, 1), "ceil_mode": False},
    {"window": 2, "stride": 3, "ceil_mode": True},
    {"window": 5, "stride": 1, "padding": 2},
]
DILATED: list[dict[str, Any]] = [
    {"window": 2, "stride": 1, "dilation": 3},
    {"window": (2, 3), "stride": (3, 1), "padding": 1, "dilation": (3, 2), "ceil_mode": True},
]

run = settings(max_examples=2000, deadline=None, derandomize=True)


def ours_of(options: dict[str, Any]) -> dict[str, Any]:
    """Torch's padding, one number for both sides of an axis, as pairs."""
    padding = options.get("padding", 0)
    return options | {"padding": tuple((p, p) for p in padding) if isinstance(padding, tuple) else padding}


def theirs_of(options: dict[str, Any]) -> dict[str, Any]:
    return {"kernel_size" if name == "window" else name: value for name, value in options.items()}


def with_gradient(function: Any) -> Any:
    """The value, and the gradient of its sum with weights 1, 2, 3, and so on."""

    def total(x: Any) -> Any:
        y = function(x)
        weights = np.arange(1.0, y.size + 1).reshape(y.shape)
        return (y * weights).sum(), y

    return jax.jit(jax.value_and_grad(total, has_aux=True))


def torch_with_gradient(function: Any, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    tensor = torch.tensor(x, requires_grad=True)
    y = function(tensor.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    y.backward(torch.arange(1.0, y.numel() + 1, dtype=torch.float64).reshape(y.shape))
    return y.detach().numpy(), np.asarray(tensor.grad)


def assert_same(pair: tuple[Any, Any], x: np.ndarray, *, rtol: float = 1e-12) -> None:
    ours, theirs = pair
    with float64():
        (_, value), gradient = ours(x)
    expected, slope = torch_with_gradient(theirs, x)
    scale = np.max(np.abs(x), initial=1, where=np.isfinite(x))
    np.testing.assert_allclose(value, expected, rtol=rtol, atol=rtol * scale)
    np.testing.assert_allclose(gradient, slope, rtol=rtol, atol=rtol)


MAXIMA = [
    (with_gradient(partial(pool.max_pool2d, **ours_of(options))), partial(F.max_pool2d, **theirs_of(options)))
    for options in GEOMETRIES + DILATED
]
MAXIMA += [
    (
        with_gradient(partial(adaptive.adaptive_max_pool2d, size=size)),
        partial(F.adaptive_max_pool2d, output_size=size),
    )
    for size in ((2, 4), (7, 1))
]
MEANS = [
    (
        with_gradient(partial(pool.average_pool2d, count_include_pad=counted, **ours_of(options))),
        partial(F.avg_pool2d, count_include_pad=counted, **theirs_of(options)),
    )
    for options in GEOMETRIES
    for counted in (True, False)
]
MEANS += [
    (
        with_gradient(partial(adaptive.adaptive_average_pool2d, size=size)),
        partial(F.adaptive_avg_pool2d, output_size=size),
    )
    for size in ((2, 4), (7, 1))
]
RESIZED = [
    (
        with_gradient(partial(resize.resize2d, size=size, method=method, antialias=antialias)),
        partial(F.interpolate, size=size, mode=method, align_corners=False, antialias=antialias),
    )
    for size in ((3, 13), (8, 2))
    for method in ("bilinear", "bicubic")
    for antialias in (False, True)
]
INDEXED = [
    (jax.jit(partial(unpool.max_pool2d_with_indices, **ours_of(options))), theirs_of(options)) for options in GEOMETRIES
]
norm = jax.jit(partial(pool_norm.lp_pool2d, p=3.0, window=2, stride=1))
unpooled = jax.jit(partial(unpool.max_unpool2d, size=(9, 11)))


@run
@given(st.sampled_from(MAXIMA), WITH_INFINITIES)
def test_maxima(pair: Any, x: np.ndarray) -> None:
    assert_same(pair, x)


@run
@given(st.sampled_from(MEANS), IMAGES)
def test_means(pair: Any, x: np.ndarray) -> None:
    assert_same(pair, x)


@run
@given(st.sampled_from(RESIZED), IMAGES)
def test_resized(pair: Any, x: np.ndarray) -> None:
    assert_same(pair, x, rtol=1e-11)


@run
@given(st.sampled_from(INDEXED), WITH_INFINITIES)
def test_indices(pair: Any, x: np.ndarray) -> None:
    ours, options = pair
    with float64():
        values, places = ours(x)
    y, indices = F.max_pool2d(torch.tensor(x).permute(0, 3, 1, 2), return_indices=True, **options)
    np.testing.assert_array_equal(values, y.permute(0, 2, 3, 1))
    np.testing.assert_array_equal(places, indices.permute(0, 2, 3, 1))


@run
@given(IMAGES, st.integers(0, 2**32 - 1))
def test_unpooled(x: np.ndarray, seed: int) -> None:
    rng = np.random.default_rng(seed)
    places = np.stack([rng.permutation(99)[:30] for _ in range(2)], -1).reshape(SHAPE)
    with float64():
        y = unpooled(x, places)
    values, named = (torch.tensor(array).permute(0, 3, 1, 2) for array in (x, places))
    np.testing.assert_array_equal(y, F.max_unpool2d(values, named, 2, 2, 0, (9, 11)).permute(0, 2, 3, 1))


@run
@given(
    arrays(
        np.float64,
        SHAPE,
        elements=st.one_of(st.sampled_from([0.0, 1e-90, 1e90]), st.floats(0, 1e3, allow_subnormal=False)),
    )
)
def test_norms(x: np.ndarray) -> None:
    with float64():
        y = norm(x)
    expected = F.lp_pool2d(torch.tensor(x).permute(0, 3, 1, 2), 3.0, 2, 1).permute(0, 2, 3, 1)
    np.testing.assert_allclose(y, expected, rtol=1e-11, atol=1e-100)


@run
@given(
    size=st.integers(1, 40),
    window=st.integers(1, 9),
    stride=st.integers(1, 12),
    padding=st.integers(0, 4),
    dilation=st.integers(1, 4),
    ceil_mode=st.booleans(),
)
def test_sizes(size: int, window: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> None:
    options = {"stride": stride, "padding": min(padding, window // 2), "dilation": dilation, "ceil_mode": ceil_mode}
    try:
        expected = F.max_pool2d(torch.ones(1, size, size), window, **options).shape[1]
    except RuntimeError:
        expected = None
    try:
        found = windows_of((size, size, 1), spatial=2, window=window, **options)[0].output
    except ValueError:
        found = None
    assert found == expected


@settings(run, max_examples=100)
@given(st.integers(1, 30), st.integers(1, 60), st.booleans())
def test_copies(old: int, new: int, half: bool) -> None:
    """Where a new place is whole, torch's rounding of n / s to float32 may name the pixel before it."""
    x, method = np.arange(float(old)), "nearest-exact" if half else "nearest"
    y = resize.resize2d(jnp.asarray(x.reshape(1, old, 1), np.float32), size=(1, new), method=method).ravel()
    expected = F.interpolate(torch.tensor(x)[None, None], new, mode=method)[0, 0].numpy()
    whole = (2 * np.arange(new) + 1) * old % (2 * new) == 0 if half else np.arange(new) * old % new == 0
    assert np.all((y == expected) | (whole & (y == expected + 1)))
