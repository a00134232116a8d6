import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.numerics import accumulate, safe_divide, wide
from tests.support import float64

WIDE = {
    "float64": "float64", "float32": "float32", "float16": "float32", "bfloat16": "float32", "float8_e4m3fn": "float32",
    "int32": "float32", "uint8": "float32", "bool": "float32",
}  # fmt: skip


@pytest.mark.parametrize("dtype", WIDE)
def test_sums_are_kept_in_float32_and_float64_in_float64(dtype):
    with float64():
        assert wide(jnp.dtype(dtype)) == WIDE[dtype]
        assert accumulate(jnp.ones(3, dtype)).dtype == WIDE[dtype]


def test_a_sum_in_the_wide_dtype_does_not_stall():
    ones = jnp.ones(5000, jnp.bfloat16)
    assert jax.lax.reduce(accumulate(ones), 0.0, jax.lax.add, (0,)) == 5000


def test_accumulate_takes_numpy_arrays_under_strict_promotion():
    with jax.numpy_dtype_promotion("strict"):
        np.testing.assert_array_equal(accumulate(np.asarray([1, 2], np.uint8)), [1.0, 2.0])


def test_safe_divide_is_division_where_it_can_be(rng):
    a, b = rng.standard_normal((2, 20)).astype(np.float32)
    np.testing.assert_allclose(safe_divide(a, b), a / b, rtol=1e-6)


@pytest.mark.parametrize("numerator", [0.0, 1.0, -3.0])
@pytest.mark.parametrize("otherwise", [0.0, 1.0, np.nan])
def test_safe_divide_by_0_is_otherwise_with_zero_gradient(otherwise, numerator):
    operands = jnp.asarray([numerator, 6.0]), jnp.asarray([0.0, 3.0])
    value, pullback = jax.vjp(lambda a, b: safe_divide(a, b, otherwise=otherwise), *operands)
    np.testing.assert_allclose(value, [otherwise, 2.0])
    wrt_numerator, wrt_denominator = pullback(jnp.ones(2))
    np.testing.assert_allclose(wrt_numerator, [0, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(wrt_denominator, [0, -6 / 9], rtol=1e-6)


def test_safe_divide_keeps_nan_and_infinity():
    np.testing.assert_array_equal(
        safe_divide(jnp.asarray([1.0, 1.0, np.nan]), jnp.asarray([np.nan, np.inf, 1.0])), [np.nan, 0.0, np.nan]
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_safe_divide_keeps_the_dtype_under_strict_promotion(dtype):
    with jax.numpy_dtype_promotion("strict"):
        assert safe_divide(jnp.ones(2, dtype), jnp.zeros(2, dtype)).dtype == dtype
