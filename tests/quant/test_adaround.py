"""Rounding up or down that is learned on calibration data."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import optim, quant
from fjdl.metrics import measure
from tests.quant.test_gptq import correlated, normals

X, KERNEL = correlated(200, 6), normals(6, 4, seed=3)


def squared_error(kernel: jax.Array, step: jax.Array) -> jax.Array:
    """The mean over examples of the summed squares of what changes behind a ReLU."""
    del step
    change = jax.nn.relu(X @ kernel) - jax.nn.relu(X @ KERNEL)
    return jnp.mean(jnp.sum(jnp.square(change), axis=-1))


def learned(grid: quant.Grid, error: Callable[..., jax.Array] = squared_error, **options: float) -> quant.Quantized:
    return jax.jit(lambda k: quant.adaround(k, grid, error, optimizer=optim.adam(2e-2), steps=600, **options))(KERNEL)


@pytest.mark.parametrize(("affine", "share"), [(False, 0.7), (True, 0.95)])
def test_each_weight_goes_to_a_neighbour_and_outputs_change_less_than_with_nearest_rounding(
    affine: bool, share: float
) -> None:
    nearest = (quant.zeropoint_quantize if affine else quant.absmax_quantize)(KERNEL, bits=3, axis=-1)
    grid = quant.grid_of(nearest)
    found = learned(grid)
    exact = KERNEL / np.asarray(grid.scale) + (0 if grid.zero_point is None else np.asarray(grid.zero_point))
    ups = np.asarray(quant.integers(found)) - np.floor(np.round(exact, 4))
    low, high = grid.limits
    inside = (exact > low + 0.01) & (exact < high - 0.01)
    assert set(np.unique(ups[inside])) == {0, 1}
    np.testing.assert_array_equal(found.scale, grid.scale)
    before, after = (float(squared_error(quant.dequantize(q), jnp.int32(0))) for q in (nearest, found))
    assert after < share * before


@pytest.mark.by_day_on_pin(1)
def test_it_finds_the_best_of_all_roundings_of_a_few_weights() -> None:
    x, kernel = correlated(50, 6, seed=5), normals(6, 1, seed=8)
    grid, moments = (
        quant.symmetric_grid(float(np.abs(kernel).max()), bits=3),
        measure(quant.input_moments(channels=6), x),
    )
    below = np.floor(kernel[:, 0] / np.asarray(grid.scale))
    choices = below + np.array(np.meshgrid(*[[0, 1]] * 6)).reshape(6, -1).T
    change = np.clip(choices, *grid.limits) * np.asarray(grid.scale) - kernel[:, 0]
    best = np.min(np.mean(np.square(change @ x.T), axis=-1))
    found = quant.adaround(
        kernel, grid, lambda k, _: quant.product_error(kernel, k, moments), optimizer=optim.adam(2e-2), steps=1500
    )
    own = float(quant.product_error(kernel, quant.dequantize(found), moments))
    assert own < 1.3 * best


def test_without_an_error_to_lower_it_is_nearest_rounding() -> None:
    nearest = quant.absmax_quantize(KERNEL, bits=4, axis=-1)
    found = learned(quant.grid_of(nearest), lambda kernel, step: jnp.zeros(()))
    np.testing.assert_array_equal(quant.integers(found), quant.integers(nearest))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"weight": -1.0}, "weight must be finite and not negative, got -1.0"),
        ({"end_beta": 0.5}, r"end_beta must lie in \[1, inf\), got 0.5"),
        ({"warmup": 1.0}, r"warmup must lie in \[0, 1\), got 1.0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quant.adaround(KERNEL, quant.symmetric_grid(1.0), squared_error, optimizer=optim.sgd(0.1), **options)  # type: ignore[arg-type]


def test_a_kernel_with_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="kernel must hold no NaN"):
        quant.adaround(jnp.array([jnp.nan]), quant.symmetric_grid(1.0), squared_error, optimizer=optim.sgd(0.1))
