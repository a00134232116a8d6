"""Ranges of activations: what each calibrator finds, and that splits and merges change nothing."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import entropy as relative_entropy

from fjdl.metrics import Metric
from fjdl.quant import affine_grid, dequantize, quantize, ranges, symmetric_grid
from fjdl.quant.ranges import Calibrator, Range, range_of
from fjdl.tree import digest

EVERY = {
    "minmax": ranges.minmax,
    "percentile": ranges.percentile,
    "mse_optimal": partial(ranges.mse_optimal, bits=4),
    "kl_optimal": ranges.kl_optimal,
    "moving_average": ranges.moving_average,
}
ORDERED = ("moving_average",)
each = pytest.mark.parametrize("name", EVERY)


def activations(n: int = 20_000) -> np.ndarray:
    """Normal numbers, with zeros as of a ReLU, numbers of every size, and one far out."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal(n).astype(np.float32)
    x[:100], x[100:200], x[200] = 0, 10.0 ** rng.uniform(-12, 1, 100), 30.0
    return rng.permutation(x)


X = activations()


def after(calibrator: Calibrator, *batches: np.ndarray) -> Any:
    update, state = jax.jit(calibrator.update), calibrator.init()
    for batch in batches:
        state = update(state, batch)
    return state


@each
def test_the_state_is_the_same_however_batches_are_merged(name: str) -> None:
    """Bit for bit, but for the sums of the moving average, which belong to their order."""
    calibrator = EVERY[name]()
    parts = X.reshape(4, -1)
    one_by_one = after(calibrator, *parts)
    halves = calibrator.merge(after(calibrator, *parts[:2]), after(calibrator, *parts[2:]))
    beside_nothing = calibrator.merge(calibrator.init(), calibrator.merge(one_by_one, calibrator.init()))
    assert digest(beside_nothing) == digest(one_by_one)
    if name in ORDERED:
        np.testing.assert_allclose(calibrator.compute(halves), calibrator.compute(one_by_one), rtol=1e-6)
    else:
        backwards = after(calibrator, *parts.reshape(2, -1)[::-1])
        assert digest(halves) == digest(one_by_one) == digest(backwards) == digest(after(calibrator, X))


@each
def test_entries_that_do_not_count_change_nothing(name: str) -> None:
    calibrator, x = EVERY[name](), np.stack([X[:50], np.full(50, 1e6, np.float32)])
    weighted = calibrator.update(calibrator.init(), x, weights=np.array([True, False]))
    assert digest(weighted) == digest(calibrator.update(calibrator.init(), X[:50]))
    assert digest(calibrator.update(weighted, x, weights=np.array([0.0, 0.0]))) == digest(weighted)


@each
def test_a_range_of_nothing_and_a_known_nan_are_refused(name: str) -> None:
    calibrator = EVERY[name]()
    with pytest.raises(ValueError, match="a range must be computed of numbers that were seen, got a state without any"):
        calibrator.compute(calibrator.init())
    with pytest.raises(ValueError, match="x must hold no NaN, got 1 among 3 entries"):
        calibrator.update(calibrator.init(), np.array([1.0, np.nan, 2.0], np.float32))


@each
def test_one_number_and_zeros_alone_are_their_own_range(name: str) -> None:
    for number in (-2.5, 0.0):
        low, high = range_of(EVERY[name](), jnp.full(3, number))
        if name != "mse_optimal":  # which widens ranges to include 0
            np.testing.assert_allclose([low, high], [number, number], rtol=1 / 128)
        assert np.isfinite(dequantize(quantize(jnp.full(3, number), affine_grid(low, high)))).all()


def test_extremes_are_exact_and_channels_have_their_own() -> None:
    assert range_of(ranges.minmax(), X) == (X.min(), X.max())
    rows = X.reshape(-1, 4)
    found = range_of(ranges.minmax(channels=4), rows)
    np.testing.assert_array_equal(found, [rows.min(axis=0), rows.max(axis=0)])
    np.testing.assert_array_equal(found.largest, np.abs(rows).max(axis=0))
    with pytest.raises(ValueError, match=r"x must have 4 channels along its last axis, got shape \(20000,\)"):
        range_of(ranges.minmax(channels=4), X)


@pytest.mark.parametrize("percent", [99.9, 99.0, 75.0, 100.0])
def test_percentiles_are_those_of_numpy_to_the_width_of_a_bin(percent: float) -> None:
    low, high = range_of(ranges.percentile(percent=percent), X)
    np.testing.assert_allclose([low, high], np.percentile(X, [100 - percent, percent]), rtol=1 / 128 + 1e-3)
    if percent == 100:
        assert (low, high) == (X.min(), X.max())


@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("symmetric", [True, False])
def test_no_other_range_has_a_much_smaller_error(symmetric: bool, bits: int) -> None:
    """Beside all ranges in steps of 1/128 of the extremes, whose errors NumPy counts on the numbers themselves."""
    x = np.append(X[:4000], np.float32(12.0))
    found = range_of(ranges.mse_optimal(bits=bits, symmetric=symmetric), x)

    def error(low: float, high: float) -> float:
        largest = max(-low, high)
        grid = symmetric_grid(largest, bits=bits) if symmetric else affine_grid(low, high, bits=bits)
        scale, zero = float(grid.scale), 0.0 if grid.zero_point is None else float(grid.zero_point)
        whole = np.clip(np.round(x / scale + zero), *grid.limits)
        return float(np.mean(((whole - zero) * scale - x) ** 2))

    parts = np.arange(1, 129, 2) / 128
    low, high = float(x.min()), float(x.max())
    tops = [(-part * 30, part * 30) for part in parts] if symmetric else [(part * low, part * high) for part in parts]
    assert error(float(found.low), float(found.high)) <= 1.02 * min(error(*top) for top in tops)
    assert float(found.largest) < 30


def divergence(amounts: np.ndarray, kept: int, levels: int) -> float:
    """Migacz's measure as SciPy computes it, with a loop over the levels."""
    true = amounts[:kept].astype(float)
    coarse = np.zeros(kept)
    level = np.arange(kept) * levels // kept
    true[-1] += amounts[kept:].sum()
    for i in range(levels):
        members = (level == i) & (true > 0)
        coarse[members] = amounts[:kept][level == i].sum() / max(members.sum(), 1)
    return float(relative_entropy(true, coarse))


@pytest.mark.by_day_on_pin(0)
def test_the_threshold_of_entropy_is_that_of_an_exact_histogram() -> None:
    x = np.append(np.random.default_rng(1).laplace(size=50_000), [60.0, -55.0]).astype(np.float32)
    found = range_of(ranges.kl_optimal(), x)
    amounts, edges = np.histogram(np.abs(x), bins=2048, range=(0, np.abs(x).max()))
    best = {kept: divergence(amounts, kept, 128) for kept in range(128, 2049, 8)}
    ours = int(np.argmin(np.abs(edges - float(found.high))))
    near = min(best.get(ours + 8 * i, np.inf) for i in range(-2, 3))  # an empty bin makes one infinite
    assert near <= 1.1 * min(best.values())
    assert 4 < float(found.high) < 30
    assert float(found.low) == -float(found.high)


def test_entropy_of_a_relu_ends_at_zero() -> None:
    low, high = range_of(ranges.kl_optimal(), np.maximum(X, 0))
    assert low == 0
    assert 0 < high <= 30


def test_a_moving_average_weighs_later_batches_more_and_is_not_drawn_to_zero() -> None:
    calibrator = ranges.moving_average(decay=0.5)
    batches = [jnp.asarray([-1.0, 4.0]), jnp.asarray([-3.0, 8.0]), jnp.asarray([-3.0, 2.0])]
    first = after(calibrator, batches[0])
    np.testing.assert_allclose(calibrator.compute(first), [-1, 4])
    whole = calibrator.compute(after(calibrator, *batches))
    np.testing.assert_allclose(whole, [-(0.25 * 1 + 0.5 * 3 + 3) / 1.75, (0.25 * 4 + 0.5 * 8 + 2) / 1.75], rtol=1e-6)


def test_a_fixed_range_stays_whatever_is_seen() -> None:
    np.testing.assert_array_equal(range_of(ranges.fixed(0.0, 6.0), X), [0, 6])
    with pytest.raises(ValueError, match=r"high must be above low, got 1.0 and 1.0"):
        ranges.fixed(1.0, 1.0)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (partial(ranges.percentile, percent=50.0), r"percent must lie in \(50, 100\], got 50"),
        (partial(ranges.mse_optimal, bits=1), r"bits must lie in \[2, 8\], got 1"),
        (partial(ranges.kl_optimal, bits=9), r"bits must lie in \[2, 8\], got 9"),
        (partial(ranges.moving_average, decay=1.0), r"decay must lie in \[0, 1\), got 1"),
        (partial(ranges.minmax, channels=0), "channels must be at least 1, got 0"),
    ],
)
def test_options_that_make_no_sense_are_named(make: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        make()


def test_a_traced_nan_makes_the_range_nan() -> None:
    x = jnp.asarray([1.0, np.nan])
    found = jax.jit(lambda x: range_of(ranges.minmax(), x))(x)
    assert isinstance(found, Range)
    assert np.isnan(found).all()


def test_a_calibrator_has_the_functions_of_a_metric() -> None:
    assert Calibrator._fields == Metric._fields
