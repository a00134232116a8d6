"""Products of matrices on CPU against numpy in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.lowering.cpu.matrix import bits, numbers, product, product_of_columns, transposed


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize(("k", "m", "n"), [(64, 120, 84), (64, 10, 33), (1, 3, 5), (300, 32, 64)])
def test_products_equal_numpy(k: int, m: int, n: int, dtype: str) -> None:
    rng = np.random.default_rng(0)
    a, b = (jnp.asarray(rng.integers(-3, 4, (k, size)), dtype) for size in (m, n))
    expected = np.asarray(a, np.float64).T @ np.asarray(b, np.float64)
    for result in (
        jax.jit(product_of_columns)(a, b),
        jax.jit(lambda a, b: product_of_columns(b, a).T)(a, b),
        jax.jit(lambda a, b: product(a.T, b, (1, 0)))(a, b),
        jax.jit(lambda a, b: product(b, a, (0, 0)).T)(a, b),
        jax.jit(lambda a, b: product(transposed(bits(a), a.dtype), b, (1, 0)))(a, b),
    ):
        assert result.dtype == jnp.float32
        np.testing.assert_array_equal(np.asarray(result), expected)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_bits_and_back_are_the_same_numbers(dtype: str) -> None:
    with jax.enable_x64(dtype == "float64"):
        x = jnp.asarray([0.0, -0.0, 1.5, np.inf, -np.inf, np.nan], dtype)
        back = numbers(bits(x), x.dtype)
        assert back.dtype == x.dtype
        np.testing.assert_array_equal(np.asarray(back, np.float64), np.asarray(x, np.float64))
        assert np.signbit(np.asarray(back, np.float64))[1]


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="what XLA makes of it on CPU")
def test_transposed_factors_of_two_bytes_are_not_widened() -> None:
    a = jnp.ones((512, 256), jnp.bfloat16)
    text = jax.jit(product_of_columns).lower(a, a).compile().as_text()
    dots = [block for block in text.split("\n\n") if " dot(" in block]
    assert dots
    assert all("f32[256,512]" not in block and "f32[512,256]" not in block for block in dots)
