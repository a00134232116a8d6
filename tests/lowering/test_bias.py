"""The gradient of a bias against sums in float64, as a sum and as a product with ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.functional import linear
from fjdl.lowering import bias
from fjdl.lowering.bias import add_bias


@pytest.mark.parametrize("as_product", [False, True], ids=["sum", "product"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 2e-6), ("bfloat16", 2e-6), ("float16", 2e-6)])
def test_both_forms_add_up_in_float32(
    dtype: str, tolerance: float, as_product: bool, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    monkeypatch.setattr(bias, "_as_product", lambda *_: as_product)
    y = jnp.asarray(rng.uniform(0.5, 1.5, (5, 60, 37)), dtype)
    actual = jax.jit(lambda y: bias._sums_on_cpu(jnp.ones(y.shape[:-1]), y.astype(jnp.float32), dtype=y.dtype))(y)
    assert actual.dtype == jnp.float32
    np.testing.assert_allclose(actual, np.asarray(y, np.float64).sum((0, 1)), rtol=tolerance)


def test_what_is_not_finite_stays_in_its_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bias, "_as_product", lambda *_: True)
    y = jnp.ones((9, 40)).at[2, 3].set(jnp.nan).at[4, 7].set(-jnp.inf)
    expected = np.full(40, 9.0)
    expected[[3, 7]] = np.nan, -np.inf
    np.testing.assert_array_equal(bias._sums_on_cpu(jnp.ones(9), y, dtype=y.dtype), expected)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_wide_biases_get_the_form_that_was_measured(dtype: str) -> None:
    least = {"float32": bias.PRODUCT, "bfloat16": bias.PRODUCT_OF_HALVES}[dtype]
    assert {"float32": (256, bias.NEVER), "bfloat16": (8193, bias.NEVER)}[dtype].count(least) == 1
    for columns in (255, 8193):
        y = jax.ShapeDtypeStruct((4, columns), dtype)
        gradient = jax.jit(jax.grad(lambda b, y: add_bias(y, b).astype(jnp.float32).sum()))
        text = gradient.lower(jax.ShapeDtypeStruct((columns,), jnp.float32), y).as_text()
        assert ("dot_general" in text) == (jax.default_backend() == "cpu" and columns >= least)


def test_the_gradient_of_a_wide_layer_equals_numpy(rng: np.random.Generator) -> None:
    x, weights = rng.standard_normal((6, 3)), rng.standard_normal((6, 300))
    kernel, b = jnp.zeros((3, 300)), jnp.zeros(300)
    actual = jax.grad(lambda b: jnp.sum(linear(jnp.asarray(x, jnp.float32), kernel, b) * weights.astype(np.float32)))(b)
    np.testing.assert_allclose(actual, weights.sum(0), rtol=2e-5, atol=1e-5)
