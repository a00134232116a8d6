"""RoI align and RoI pooling beside torchvision's kernels, written out on NumPy arrays."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.functional import pyramid_roi_align, roi_align, roi_pool
from fjdl.lowering import roi, roi_pool as pooling
from tests.support import assert_trees_close

H, W, C = 6, 8, 3


def bilinear(x: np.ndarray, y_at: float, x_at: float) -> np.ndarray:
    """`bilinear_interpolate` of torchvision's roi_align_kernel.cpp."""
    h, w, _ = x.shape
    if not (-1.0 <= y_at <= h and -1.0 <= x_at <= w):
        return np.zeros(x.shape[2])
    y_at, x_at = max(y_at, 0.0), max(x_at, 0.0)
    y_low, x_low = int(y_at), int(x_at)
    if y_low >= h - 1:
        y_high = y_low = h - 1
        y_at = float(y_low)
    else:
        y_high = y_low + 1
    if x_low >= w - 1:
        x_high = x_low = w - 1
        x_at = float(x_low)
    else:
        x_high = x_low + 1
    ly, lx = y_at - y_low, x_at - x_low
    top = (1 - lx) * x[y_low, x_low] + lx * x[y_low, x_high]
    return (1 - ly) * top + ly * ((1 - lx) * x[y_high, x_low] + lx * x[y_high, x_high])


def align(x: np.ndarray, box: np.ndarray, size, scale: float, samples: int, *, aligned: bool) -> np.ndarray:
    """`roi_align_forward_kernel_impl` for one box."""
    x0, y0, x1, y1 = box * scale - (0.5 if aligned else 0.0)
    width, height = x1 - x0, y1 - y0
    if not aligned:
        width, height = max(width, 1.0), max(height, 1.0)
    out = np.zeros((*size, x.shape[2]))
    for p in range(size[0]):
        for q in range(size[1]):
            for i in range(samples):
                for j in range(samples):
                    y_at = y0 + p * height / size[0] + (i + 0.5) * height / size[0] / samples
                    x_at = x0 + q * width / size[1] + (j + 0.5) * width / size[1] / samples
                    out[p, q] += bilinear(x, y_at, x_at) / samples**2
    return out


def half_away(value: float) -> int:
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def bins_of(box: np.ndarray, size, scale: float, h: int, w: int):
    """Slices of `roi_pool_forward_kernel_impl`."""
    x0, y0, x1, y1 = (half_away(float(v) * scale) for v in box)
    height, width = max(y1 - y0 + 1, 1) / size[0], max(x1 - x0 + 1, 1) / size[1]
    for p in range(size[0]):
        for q in range(size[1]):
            rows = [min(max(v + y0, 0), h) for v in (math.floor(p * height), math.ceil((p + 1) * height))]
            columns = [min(max(v + x0, 0), w) for v in (math.floor(q * width), math.ceil((q + 1) * width))]
            yield p, q, slice(*rows), slice(*columns)


def pool(x: np.ndarray, box: np.ndarray, size, scale: float) -> np.ndarray:
    out = np.zeros((*size, x.shape[2]))
    for p, q, rows, columns in bins_of(box, size, scale, *x.shape[:2]):
        if x[rows, columns].size:
            out[p, q] = x[rows, columns].max((0, 1))
    return out


def scene(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A map of stride 4 with equal entries, and boxes within, across the border, outside, of no area, of padding."""
    x = rng.integers(-3, 4, (2, H, W, C)).astype(np.float32)
    boxes = [[3, 2, 21, 17], [-9, -5, 9, 11], [20, 10, 60, 50], [90, 90, 99, 99], [-50, -50, -30, -40], [5, 5, 5, 5]]
    boxes += [[0, 0, 0, 0], [0, 0, 4 * W, 4 * H], [9, 9, 3, 4], [-2.1, 0, -1.9, 8]]
    return x, np.stack([np.float32(boxes), np.float32(boxes) + np.float32(1.3)])


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize(("size", "samples"), [((2, 3), 2), ((3, 1), 1)])
def test_align_is_that_of_torchvision(rng: np.random.Generator, size, samples: int, aligned: bool) -> None:
    x, boxes = scene(rng)
    found = roi_align(x, boxes, size=size, scale=0.25, samples=samples, aligned=aligned)
    expected = [
        [align(i, b, size, 0.25, samples, aligned=aligned) for b in own] for i, own in zip(x, boxes, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("size", [(2, 3), (1, 1)])
def test_pool_is_that_of_torchvision(rng: np.random.Generator, size) -> None:
    x, boxes = scene(rng)
    found = roi_pool(x, boxes, size=size, scale=0.25)
    expected = [[pool(i, b, size, 0.25) for b in own] for i, own in zip(x, boxes, strict=True)]
    np.testing.assert_array_equal(found, expected)


def test_the_gradient_of_pool_goes_to_the_first_of_equal_entries(rng: np.random.Generator) -> None:
    x, boxes = scene(rng)
    upstream = rng.integers(-4, 5, (2, boxes.shape[1], 2, 3, C)).astype(np.float32)
    slope = jax.jit(jax.grad(lambda x: jnp.sum(roi_pool(x, boxes, size=(2, 3), scale=0.25) * upstream)))(x)
    expected = np.zeros_like(x)
    for image, (own, back) in enumerate(zip(boxes, upstream, strict=True)):
        for box, up in zip(own, back, strict=True):
            for p, q, rows, columns in bins_of(box, (2, 3), 0.25, H, W):
                part = x[image, rows, columns]
                for c in range(C if part.size else 0):
                    i, j = np.unravel_index(part[..., c].argmax(), part.shape[:2])
                    expected[image, rows.start + i, columns.start + j, c] += up[p, q, c]
    np.testing.assert_array_equal(slope, expected)


def test_the_gradient_of_align_is_the_transpose(rng: np.random.Generator) -> None:
    x, boxes = scene(rng)
    call = partial(roi_align, size=(2, 3), scale=0.25)
    y, pull = jax.vjp(lambda x: call(x, boxes), x)
    upstream = rng.standard_normal(y.shape).astype(np.float32)
    np.testing.assert_allclose(np.vdot(y, upstream), np.vdot(x, pull(upstream)[0]), rtol=1e-4)
    assert not np.any(jax.grad(lambda boxes: jnp.sum(call(x, boxes)))(boxes))
    assert not np.any(jax.grad(lambda boxes: jnp.sum(roi_pool(x, boxes, size=2)))(boxes))
    moved = jax.jvp(lambda x: call(x, boxes), (x,), (x,))[1]
    np.testing.assert_allclose(moved, y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_forms_agree(rng: np.random.Generator, dtype: str) -> None:
    x, boxes = scene(rng)
    x, regions, k = jnp.asarray(x, dtype), boxes / 4, boxes.shape[1]
    static = {"size": (2, 3), "samples": 2, "extent": (H, W, C)}
    bound = {"rtol": 1e-5, "atol": 1e-5} if dtype == "float32" else {"rtol": 2e-2, "atol": 4e-2}
    forms = [partial(roi.by_two_products, most=most, dtype=dtype, **static) for most in (1, 5, k)]
    forms += [partial(roi.by_one_product, **static), partial(roi.by_gathers, **static)]
    forward = [jax.jit(form)(x, regions) for form in forms]
    y = forward[0]
    for part in forward:
        assert part.dtype == x.dtype
        assert part.shape == (2, k, 2, 3, C)
        assert_trees_close(part, y, **bound)
    forms = [partial(roi.transposed, most=most, dtype=dtype, **static) for most in (1, k)]
    back = [jax.jit(form)(y, regions) for form in (*forms, partial(roi.by_scatter, **static))]
    exact = jax.linear_transpose(
        lambda x: roi.by_one_product(x, jnp.asarray(regions), **static), jax.ShapeDtypeStruct(x.shape, jnp.float32)
    )(y.astype(jnp.float32))[0]
    for part in back:
        assert part.dtype == x.dtype
        assert_trees_close(part.astype(jnp.float32), exact, rtol=bound["rtol"], atol=4 * bound["atol"])


def test_the_transposes_of_pool_agree(rng: np.random.Generator) -> None:
    y, places = rng.standard_normal((2, 9, C)).astype(np.float32), rng.integers(-1, 5, (2, 9, C)).astype(np.int32)
    there, other = (
        jax.jit(partial(form, pixels=5))(y, places) for form in (pooling.by_scatter, pooling.by_comparisons)
    )
    np.testing.assert_allclose(there, other, rtol=1e-5, atol=1e-6)


def test_boxes_that_are_not_finite_give_zeros() -> None:
    x = np.ones((H, W, C), np.float32)
    boxes = np.float32([[np.nan, 0, 4, 4], [0, 0, np.inf, 4], [-np.inf, 0, np.inf, 4]])
    for function in (roi_align, roi_pool):
        value, slope = jax.jit(jax.value_and_grad(lambda x, f=function: jnp.sum(f(x, boxes, size=2))))(x)
        assert value == 0
        assert not np.any(slope)


def test_without_boxes_there_are_no_regions() -> None:
    x, none = np.ones((2, H, W, C), np.float32), np.zeros((2, 0, 4), np.float32)
    assert roi_align(x, none, size=(2, 3)).shape == roi_pool(x, none, size=(2, 3)).shape == (2, 0, 2, 3, C)


def test_on_a_pyramid_each_box_is_aligned_on_its_level(rng: np.random.Generator) -> None:
    levels = [rng.standard_normal((16 // s, 24 // s, C)).astype(np.float32) for s in (1, 2, 4)]
    boxes = np.float32([[0, 0, 10, 10], [3, 3, 20, 20], [0, 0, 60, 60], [4, 4, 100, 60], [7, 7, 7, 7]])
    pooled = partial(pyramid_roi_align, size=2, strides=[4, 8, 16], canonical_size=32.0, canonical_level=3)
    found = jax.jit(pooled)(levels, boxes)
    for box, own in zip(boxes, found, strict=True):
        side = math.sqrt((box[2] - box[0]) * (box[3] - box[1]))
        level = int(np.clip(math.floor(3 + math.log2(max(side, 1e-9) / 32.0) + 1e-6), 2, 4))
        expected = align(levels[level - 2], box, (2, 2), 1 / 2**level, 2, aligned=True)
        np.testing.assert_allclose(own, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda x, b: roi_align(x, b, size=0), "size must be at least 1, got 0"),
        (lambda x, b: roi_align(x, b, size=2, samples=0), "samples must be at least 1, got 0"),
        (lambda x, b: roi_pool(x, b, size=2, scale=0.0), "scale must be positive and finite, got 0.0"),
        (lambda x, b: pyramid_roi_align([x], b, size=2, strides=[]), "strides must be as many as levels, got 0 and 1"),
    ],
)
def test_wrong_options_are_refused(call, rule: str) -> None:
    with pytest.raises(ValueError, match=f"^{rule}$"):
        call(np.ones((H, W, C), np.float32), np.zeros((1, 4), np.float32))
