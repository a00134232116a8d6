from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from fjdl.quant import Quantized, absmax_quantize, dequantize, integers, require, zeropoint_quantize
from tests.support import float64

WEIGHTS = jnp.asarray([0.1234, 0.6990, -0.7890, 0.0012])
both = pytest.mark.parametrize("quantize", [absmax_quantize, zeropoint_quantize])
matrices = hnp.arrays(
    np.float32,
    st.sampled_from([(1, 1), (4, 1), (3, 5)]),  # few shapes, for each is compiled
    elements=st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False),
)


# The notes print 127 / max|x| and 255 / (max − min); `scale` is the inverse, the step between neighbouring integers.


def test_w30_absmax_8_bit() -> None:
    q = absmax_quantize(WEIGHTS)
    np.testing.assert_array_equal(q.values, [20, 113, -127, 0])
    np.testing.assert_allclose(1 / q.scale, [160.96326], rtol=1e-7)
    assert q.zero_point is None


def test_w31_absmax_8_bit_dequantized() -> None:
    actual = dequantize(absmax_quantize(WEIGHTS))
    np.testing.assert_allclose(actual, [0.124252, 0.702024, -0.789, 0], atol=5e-7)
    np.testing.assert_allclose(jnp.max(jnp.abs(actual - WEIGHTS)), 0.0030236, atol=5e-8)


def test_w32_the_sign_of_the_third_weight_survives() -> None:
    assert dequantize(absmax_quantize(WEIGHTS))[2] == WEIGHTS[2] < 0


def test_w33_zeropoint_8_bit() -> None:
    q = zeropoint_quantize(WEIGHTS)
    np.testing.assert_array_equal(q.values, [28, 127, -128, 7])
    np.testing.assert_allclose(1 / q.scale, [171.37097], rtol=1e-7)
    np.testing.assert_array_equal(q.zero_point, [7])


def test_w34_zeropoint_8_bit_dequantized() -> None:
    actual = dequantize(zeropoint_quantize(WEIGHTS))
    np.testing.assert_allclose(actual, [0.122541, 0.700235, -0.787765, 0], atol=5e-7)
    np.testing.assert_allclose(jnp.max(jnp.abs(actual - WEIGHTS)), 0.0012353, atol=5e-8)


def test_w35_four_bits() -> None:
    symmetric, affine = absmax_quantize(WEIGHTS, bits=4), zeropoint_quantize(WEIGHTS, bits=4)
    np.testing.assert_array_equal(integers(symmetric), [1, 6, -7, 0])
    np.testing.assert_allclose(1 / symmetric.scale, [8.87199], rtol=1e-6)
    np.testing.assert_allclose(dequantize(symmetric), [0.112714, 0.676286, -0.789, 0], atol=5e-7)
    np.testing.assert_array_equal(integers(affine), [1, 7, -8, 0])
    np.testing.assert_allclose(1 / affine.scale, [10.080646], rtol=3e-7)
    np.testing.assert_array_equal(affine.zero_point, [0])
    np.testing.assert_allclose(dequantize(affine), [0.0992, 0.6944, -0.7936, 0], atol=5e-7)


def test_w36_the_top_of_the_range_is_limited_and_does_not_wrap() -> None:
    q = zeropoint_quantize(jnp.asarray([-1.5, 253.5]))
    np.testing.assert_array_equal(q.zero_point, [-126])
    np.testing.assert_array_equal(q.values, [-128, 127])
    np.testing.assert_array_equal(dequantize(q), [-2.0, 253.0])


def test_w36_a_range_far_from_zero_keeps_its_zero_point() -> None:
    q = zeropoint_quantize(jnp.asarray([10.0, 10.5, 11.0]))
    np.testing.assert_array_equal(q.zero_point, [-2678])
    np.testing.assert_allclose(dequantize(q), [10.0, 10.5, 11.0], atol=0.5 / 255 + 1e-6)


def test_w36_the_largest_absolute_value_is_the_range_and_not_the_largest() -> None:
    np.testing.assert_array_equal(absmax_quantize(jnp.asarray([0.1, 0.2, -1.0])).values, [13, 25, -127])


@pytest.mark.parametrize("constant", [0.0, 0.3, -7.25, 1e30, 1e-30])
def test_w36_a_constant_is_exact(constant: float) -> None:
    x = jnp.full(3, constant, jnp.float32)
    np.testing.assert_array_equal(dequantize(zeropoint_quantize(x)), x)
    np.testing.assert_allclose(dequantize(absmax_quantize(x)), x, rtol=2e-7)


@pytest.mark.parametrize("bits", [4])
@settings(deadline=None, max_examples=60)
@given(x=matrices)
def test_absmax_is_off_by_at_most_half_a_step(bits: int, x: np.ndarray) -> None:
    for axis in (None, -1):
        q = absmax_quantize(x, bits=bits, axis=axis)
        limit = np.broadcast_to(0.5 * np.asarray(q.scale, np.float64), x.shape)
        assert np.all(np.abs(np.asarray(dequantize(q), np.float64) - x) <= limit + 3e-7 * np.abs(x))


@pytest.mark.parametrize("bits", [4])
@settings(deadline=None, max_examples=60)
@given(x=matrices)
def test_zeropoint_is_off_by_at_most_half_a_step(bits: int, x: np.ndarray) -> None:
    for axis in (None, 0):
        q = zeropoint_quantize(x, bits=bits, axis=axis)
        limit = np.broadcast_to(0.5 * np.asarray(q.scale, np.float64), x.shape)
        error = np.abs(np.asarray(dequantize(q), np.float64) - x)
        assert np.all(error <= limit + 2e-6 * np.max(np.abs(x)))


@both
@settings(deadline=None, max_examples=40)
@given(x=matrices)
def test_invariants_hold(quantize: Any, x: np.ndarray) -> None:
    for bits, axis in [(8, None), (3, 1), (2, (0, 1))]:
        q = require(quantize(x, bits=bits, axis=axis))
        assert q.values.dtype == (jnp.int8 if bits == 8 else jnp.uint8)
        assert q.shape == integers(q).shape == x.shape
        assert q.scale.dtype == jnp.float32
        assert np.broadcast_shapes(q.scale.shape, x.shape) == x.shape
        assert np.all(q.scale >= np.finfo(np.float32).tiny)
        assert -(2 ** (bits - 1)) <= int(jnp.min(integers(q))) <= int(jnp.max(integers(q))) < 2 ** (bits - 1)
        if q.zero_point is not None:
            assert q.zero_point.shape == q.scale.shape
            np.testing.assert_array_equal(q.zero_point, np.round(q.zero_point))


def test_absmax_per_channel_equals_torch(rng: np.random.Generator) -> None:
    x = rng.standard_normal((6, 5)).astype(np.float32)
    q = absmax_quantize(x, axis=-1)
    steps, zeros = torch.tensor(np.asarray(q.scale)[0]), torch.zeros(5, dtype=torch.int32)
    theirs = torch.fake_quantize_per_channel_affine(torch.tensor(x), steps, zeros, 1, -127, 127)
    np.testing.assert_allclose(dequantize(q), theirs.numpy(), rtol=1e-6)
    np.testing.assert_allclose(q.scale[0], np.max(np.abs(x), axis=0) / 127, rtol=1e-6)


def test_zeropoint_per_tensor_equals_torch(rng: np.random.Generator) -> None:
    x = rng.uniform(-1, 3, (6, 5)).astype(np.float32)
    q = zeropoint_quantize(x)
    step, zero_point = float(q.scale[0, 0]), int(q.zero_point[0, 0])
    theirs = torch.fake_quantize_per_tensor_affine(torch.tensor(x), step, zero_point, -128, 127)
    np.testing.assert_allclose(dequantize(q), theirs.numpy(), rtol=1e-6)


@both
def test_channels_keep_their_own_scale(quantize: Any, rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 4, 5)).astype(np.float32) * 10.0 ** np.arange(5, dtype=np.float32)
    q = quantize(x, axis=-1)
    assert q.scale.shape == (1, 1, 5)
    for k in range(5):
        alone = quantize(x[..., k])
        np.testing.assert_array_equal(q.values[..., k], alone.values)
        np.testing.assert_allclose(jnp.ravel(q.scale)[k], jnp.ravel(alone.scale)[0], rtol=2e-7)
    assert quantize(x, axis=(0, 2)).scale.shape == (3, 1, 5)
    np.testing.assert_array_equal(quantize(x, axis=(0, 1, 2)).scale.shape, x.shape)


@both
def test_a_channel_of_zeros_stays_zero_beside_others(quantize: Any) -> None:
    x = jnp.asarray([[0.0, 1.0], [0.0, -2.0]])
    q = quantize(x, axis=-1)
    assert q.scale[0, 0] == 1
    np.testing.assert_array_equal(dequantize(q)[:, 0], 0.0)


@both
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_known_bad_entry_is_refused(quantize: Any, bad: float) -> None:
    with pytest.raises(ValueError, match=r"^x must hold no NaN and no infinity, got 1 among 3 entries$"):
        quantize(np.asarray([1.0, bad, 2.0], np.float32))


@both
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_bad_entry_makes_its_own_channel_nan_and_no_other(quantize: Any, bad: float) -> None:
    x = jnp.asarray([[bad, 1.0], [1.0, -2.0]])
    q = jax.jit(partial(quantize, axis=-1))(x)
    assert np.isnan(q.scale[0, 0])
    np.testing.assert_array_equal(q.values[0, 0], 0)
    assert np.all(np.isnan(dequantize(q)[:, 0]))
    np.testing.assert_allclose(dequantize(q)[:, 1], [1.0, -2.0], atol=0.01)


def test_halves_round_to_even() -> None:
    x = jnp.asarray([127.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5])
    np.testing.assert_array_equal(absmax_quantize(x).values, [127, 0, 2, 2, 0, -2, -2])


@both
def test_a_range_beyond_the_largest_float32_does_not_overflow(quantize: Any) -> None:
    actual = dequantize(quantize(jnp.asarray([-3e38, 0.0, 3e38])))
    np.testing.assert_allclose(np.asarray(actual, np.float64) / 3e38, [-1.0, 0.0, 1.0], atol=4e-3)


@both
def test_numbers_whose_step_would_be_subnormal_become_zero(quantize: Any) -> None:
    q = quantize(jnp.asarray([0.0, 1e-37]))
    np.testing.assert_array_equal(q.scale, 1.0)
    np.testing.assert_array_equal(dequantize(q), 0.0)


@both
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_is_quantized_as_float32(quantize: Any, dtype: Any, rng: np.random.Generator) -> None:
    x = jnp.asarray(rng.standard_normal((4, 3)), dtype)
    with jax.numpy_dtype_promotion("strict"):
        coarse, exact = quantize(x), quantize(x.astype(jnp.float32))
    np.testing.assert_array_equal(coarse.values, exact.values)
    assert coarse.scale.dtype == jnp.float32
    assert dequantize(coarse, dtype=dtype).dtype == dtype


@both
def test_float64_is_quantized_in_float32(quantize: Any, rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 3))
    with float64():
        q = quantize(jnp.asarray(x))
        assert q.scale.dtype == jnp.float32
        assert dequantize(q, dtype=jnp.float64).dtype == jnp.float64
        assert dequantize(q).dtype == jnp.float32


@both
def test_a_single_number_has_a_scale_without_axes(quantize: Any) -> None:
    q = quantize(jnp.asarray(-2.5))
    assert q.scale.shape == ()
    np.testing.assert_allclose(dequantize(q), -2.5)


@both
@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((2,), {"bits": 1}, r"bits must lie in \[2, 8\], got 1"),
        ((2,), {"bits": 9}, r"bits must lie in \[2, 8\], got 9"),
        ((2, 3), {"axis": 2}, r"axis must lie in \[-2, 2\) for shape \(2, 3\), got 2"),
        ((2, 3), {"axis": (0, -3)}, r"axis must lie in \[-2, 2\) for shape \(2, 3\), got -3"),
        ((0, 3), {}, r"x must not be empty, got shape \(0, 3\)"),
        ((6, 3), {"axis": -1, "group": 4}, r"group must divide the 6 entries along axis 0 of shape \(6, 3\), got 4"),
        ((6, 3), {"axis": -1, "group": 0}, r"group must be at least 1, got 0"),
        ((6, 3), {"axis": (0, 1), "group": 2}, r"group must have an axis that shares scales, got axis \(0, 1\)"),
    ],
)
def test_options_that_make_no_sense_are_named(quantize: Any, shape: tuple, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quantize(jnp.ones(shape), **options)


def test_integers_are_refused() -> None:
    with pytest.raises(ValueError, match="absmax_quantize: argument `x`"):
        absmax_quantize(jnp.ones(2, jnp.int32))


def test_is_a_pytree_whose_leaves_are_named() -> None:
    q = zeropoint_quantize(WEIGHTS)
    paths = [jax.tree_util.keystr(path, simple=True) for path, _ in jax.tree_util.tree_leaves_with_path(q)]
    assert paths == ["values", "scale", "zero_point"]
    assert isinstance(jax.tree.map(lambda x: x, q), Quantized)
    assert len(jax.tree.leaves(absmax_quantize(WEIGHTS))) == 2


@pytest.mark.parametrize(
    ("quantize", "bits", "expected"),
    [
        (absmax_quantize, 8, 0.00768798),
        (absmax_quantize, 4, 0.14460922),
        (zeropoint_quantize, 8, 0.00673849),
        (zeropoint_quantize, 4, 0.11743847),
    ],
)
def test_mean_error_equals_that_of_the_formulas_in_float64(quantize: Any, bits: int, expected: float) -> None:
    x = np.random.default_rng(0).standard_normal(512).astype(np.float32)
    np.testing.assert_allclose(np.mean(np.abs(dequantize(quantize(x, bits=bits)) - x)), expected, rtol=1e-5)
