"""Rounding on calibration data, against the equations of the paper in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import functional as F, quant
from fjdl.metrics import measure


def normals(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def correlated(rows: int, inputs: int, seed: int = 0) -> np.ndarray:
    return normals(rows, 3, seed=seed) @ normals(3, inputs, seed=9) + 0.3 * normals(rows, inputs, seed=seed + 1)


def moments_of(x: np.ndarray) -> jax.Array:
    return measure(quant.input_moments(channels=x.shape[-1]), x)


def published(
    kernel: np.ndarray, x: np.ndarray, scale: np.ndarray, *, bits: int, damping: float, ordered: bool = False
) -> np.ndarray:
    """Section 3 of the paper: one input after the other, with the inverse of what is left recomputed each time."""
    rows, scale = kernel.astype(np.float64), np.broadcast_to(scale, kernel.shape).astype(np.float64)
    hessian = x.T.astype(np.float64) @ x / len(x)
    diagonal = np.diag(hessian)
    left = list(np.argsort(-diagonal, kind="stable") if ordered else range(len(rows)))
    hessian = hessian + damping * diagonal.mean() * np.eye(len(rows))
    whole, top = np.zeros(kernel.shape, int), 2 ** (bits - 1) - 1
    while left:
        inverse = np.linalg.inv(hessian[np.ix_(left, left)])
        i = left[0]
        whole[i] = np.clip(np.round(rows[i] / scale[i]), -top, top)
        loss = (rows[i] - whole[i] * scale[i]) / inverse[0, 0]
        rows[left] -= np.outer(inverse[:, 0], loss)
        left = left[1:]
    return whole


@pytest.mark.parametrize(("group", "ordered"), [(None, False), (None, True), (4, True)])
def test_integers_are_those_of_the_published_loop(group: int | None, ordered: bool) -> None:
    kernel, x = normals(12, 7, seed=3), correlated(200, 12)
    grid = quant.grid_of(quant.absmax_quantize(kernel, bits=4, axis=-1, group=group))
    found = quant.gptq_quantize(kernel, moments_of(x), grid, activation_order=ordered)
    scale = quant.spread(grid.scale, kernel.shape)
    expected = published(kernel, x, np.asarray(scale), bits=4, damping=0.01, ordered=ordered)
    np.testing.assert_array_equal(quant.integers(found), expected)
    np.testing.assert_array_equal(found.scale, grid.scale)


@pytest.mark.by_day_on_pin(1)
def test_several_blocks_give_what_one_row_after_the_other_gives() -> None:
    kernel, x = normals(150, 3, seed=3), correlated(400, 150)
    grid = quant.grid_of(quant.absmax_quantize(kernel, bits=4, axis=-1))
    found = quant.integers(quant.gptq_quantize(kernel, moments_of(x), grid, damping=0.1))
    expected = published(kernel, x, np.asarray(grid.scale), bits=4, damping=0.1)
    assert np.mean(np.asarray(found) != expected) < 0.02  # float32 decides a few halves otherwise


@pytest.mark.parametrize("bits", [4, 3, 2])
@pytest.mark.parametrize("affine", [False, True])
def test_outputs_change_less_than_with_nearest_rounding(bits: int, affine: bool) -> None:
    kernel, x = normals(16, 8, seed=3), correlated(300, 16)
    nearest = (quant.zeropoint_quantize if affine else quant.absmax_quantize)(kernel, bits=bits, axis=-1)
    found = quant.gptq_quantize(kernel, moments_of(x), quant.grid_of(nearest))

    def error(rounded: quant.Quantized) -> float:
        return float(np.mean(np.sum(np.square(x @ (np.asarray(quant.dequantize(rounded)) - kernel)), axis=-1)))

    assert error(found) < 0.7 * error(nearest)
    own = quant.product_error(kernel, quant.dequantize(found), moments_of(x))
    np.testing.assert_allclose(own, error(found), rtol=1e-3)


@pytest.mark.by_day_on_pin(0)
def test_without_correlation_it_is_nearest_rounding() -> None:
    kernel = normals(5, 4, seed=3)
    nearest = quant.absmax_quantize(kernel, bits=4, axis=-1)
    found = quant.gptq_quantize(kernel, jnp.diag(jnp.arange(1.0, 6.0)), quant.grid_of(nearest))
    np.testing.assert_array_equal(found.values, nearest.values)


@pytest.mark.by_day_on_pin(1)
def test_weights_of_dead_inputs_become_zero_and_change_no_others() -> None:
    kernel, x = normals(6, 4, seed=3), correlated(100, 6)
    grid = quant.grid_of(quant.absmax_quantize(kernel, bits=4, axis=-1))
    x[:, [1, 4]] = 0
    found = quant.integers(quant.gptq_quantize(kernel, moments_of(x), grid))
    alive = [0, 2, 3, 5]
    np.testing.assert_array_equal(np.asarray(found)[[1, 4]], 0)
    rest = quant.gptq_quantize(kernel[alive], moments_of(x[:, alive]), grid)
    np.testing.assert_array_equal(np.asarray(found)[alive], quant.integers(rest))
    none = quant.gptq_quantize(kernel, jnp.zeros((6, 6)), grid)
    np.testing.assert_array_equal(quant.integers(none), np.zeros((6, 4)))


@pytest.mark.parametrize("groups", [1, 2])
def test_kernels_of_convolutions_are_rounded_by_their_windows(groups: int) -> None:
    x, kernel = normals(2, 5, 5, 4, seed=0), normals(3, 3, 4 // groups, 6, seed=1)
    columns = F.im2col(x, window=3, padding="SAME")
    inputs = quant.unfolded_inputs(columns, channels=4, groups=groups)
    parts = kernel.reshape(-1, groups, 6 // groups)
    np.testing.assert_allclose(
        jnp.einsum("bhwgn,ngm->bhwgm", inputs, parts).reshape(2, 5, 5, 6),
        F.conv2d(x, kernel, padding="SAME", groups=groups),
        rtol=1e-4,
        atol=1e-4,
    )
    moments = measure(quant.input_moments(channels=36 // groups, groups=groups), inputs)
    nearest = quant.absmax_quantize(kernel, bits=3, axis=-1)
    found = quant.gptq_quantize(kernel, moments, quant.grid_of(nearest))
    assert found.shape == kernel.shape
    errors = [
        float(jnp.mean(jnp.sum(jnp.square(
            F.conv2d(x, quant.dequantize(q) - kernel, padding="SAME", groups=groups)
        ), axis=-1)))
        for q in (found, nearest)
    ]  # fmt: skip
    assert errors[0] < 0.95 * errors[1]
    np.testing.assert_allclose(quant.product_error(kernel, quant.dequantize(found), moments), errors[0], rtol=1e-3)


@pytest.mark.by_day_on_pin(1)
def test_moments_are_the_same_however_rows_are_split() -> None:
    x, metric = correlated(90, 5), quant.input_moments(channels=5)
    expected = x.T.astype(np.float64) @ x / 90
    merged = metric.init()
    for part in np.split(x, [0, 10, 55]):
        merged = metric.merge(merged, metric.update(metric.init(), part))
    np.testing.assert_allclose(metric.compute(merged), expected, rtol=1e-5, atol=1e-5)
    filled = np.concatenate([x, np.full((3, 5), np.nan, np.float32)]).reshape(31, 3, 5)
    weights = (np.arange(93) < 90).reshape(31, 3)
    np.testing.assert_allclose(measure(metric, filled, weights=weights), expected, rtol=1e-5, atol=1e-5)
    doubled = measure(metric, x, weights=np.where(np.arange(90) < 30, 2, 1).astype(np.float32))
    np.testing.assert_allclose(doubled, measure(metric, np.concatenate([x, x[:30]])), rtol=1e-5, atol=1e-5)


@pytest.mark.by_day_on_pin(1)
def test_what_cannot_be_rounded_is_refused() -> None:
    kernel, grid = jnp.ones((3, 2)), quant.symmetric_grid(1.0, bits=4)
    with pytest.raises(ValueError, match=r"for a kernel of n = 3 inputs .* got \(2, 2\) for \(3, 2\)"):
        quant.gptq_quantize(kernel, jnp.eye(2), grid)
    with pytest.raises(ValueError, match="moments must be positive definite once damping is added"):
        quant.gptq_quantize(kernel, jnp.ones((3, 3)), grid, damping=0.0)
    with pytest.raises(ValueError, match="kernel must hold no NaN"):
        quant.gptq_quantize(kernel.at[0, 0].set(jnp.nan), jnp.eye(3), grid)
    with pytest.raises(ValueError, match="got a state without any"):
        measure(quant.input_moments(channels=2), jnp.zeros((0, 2)))
    with pytest.raises(ValueError, match=r"the last axes of x must be \[2\], got shape \(4, 3\)"):
        measure(quant.input_moments(channels=2), jnp.zeros((4, 3)))
    with pytest.raises(ValueError, match="channels must divide the 9 entries of columns"):
        quant.unfolded_inputs(jnp.ones((1, 9)), channels=2, groups=1)


def test_traced_moments_that_cannot_be_inverted_give_nan() -> None:
    found = jax.jit(quant.gptq_quantize)(jnp.ones((3, 2)), jnp.full((3, 3), jnp.nan), quant.symmetric_grid(1.0, bits=4))
    assert np.isnan(quant.dequantize(found)).all()
