import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl import numerics
from fjdl.numerics import (
    full_product,
    log1p_of_fraction,
    log_softmax,
    norm,
    safe_divide,
    signed,
    softmax,
    unit,
    wide,
    widened,
)  # fmt: skip
from tests.meshes import on_axes_of_their_own
from tests.support import float64

WIDE = {
    "float64": "float64", "float32": "float32", "float16": "float32", "bfloat16": "float32", "float8_e4m3fn": "float32",
    "int32": "float32", "uint8": "float32", "bool": "float32",
}  # fmt: skip


@pytest.mark.parametrize("dtype", WIDE)
def test_sums_are_kept_in_float32_and_float64_in_float64(dtype):
    with float64():
        assert wide(jnp.dtype(dtype)) == WIDE[dtype]
        assert widened(jnp.ones(3, dtype)).dtype == WIDE[dtype]


def test_a_sum_in_the_wide_dtype_does_not_stall():
    ones = jnp.ones(5000, jnp.bfloat16)
    assert jax.lax.reduce(widened(ones), 0.0, jax.lax.add, (0,)) == 5000


def test_accumulate_takes_numpy_arrays_under_strict_promotion():
    with jax.numpy_dtype_promotion("strict"):
        np.testing.assert_array_equal(widened(np.asarray([1, 2], np.uint8)), [1.0, 2.0])


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


@pytest.mark.parametrize("size", [1e-30, 1e30])
def test_safe_divide_by_a_tiny_or_huge_number_has_a_finite_gradient(size):
    gradient = jax.jit(jax.grad(lambda a, b: safe_divide(a, b), argnums=(0, 1)))
    wrt_numerator, wrt_denominator = gradient(jnp.float32(2 * size), jnp.float32(size))
    np.testing.assert_allclose(wrt_numerator * size, 1, rtol=1e-6)
    np.testing.assert_allclose(wrt_denominator * size, -2, rtol=1e-6)


def test_safe_divide_keeps_nan_and_infinity():
    np.testing.assert_array_equal(
        safe_divide(jnp.asarray([1.0, 1.0, np.nan]), jnp.asarray([np.nan, np.inf, 1.0])), [np.nan, 0.0, np.nan]
    )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_safe_divide_keeps_the_dtype_under_strict_promotion(dtype):
    with jax.numpy_dtype_promotion("strict"):
        assert safe_divide(jnp.ones(2, dtype), jnp.zeros(2, dtype)).dtype == dtype


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1.0, 1e30])
def test_norm_neither_overflows_nor_vanishes(scale, rng):
    x = rng.standard_normal((4, 3))
    expected = np.linalg.norm(x, axis=1, keepdims=True)
    np.testing.assert_allclose(norm(jnp.asarray(x * scale, jnp.float32)) / scale, expected, rtol=1e-5)
    np.testing.assert_allclose(unit(jnp.asarray(x * scale, jnp.float32)), x / expected, rtol=1e-5)


def test_a_zero_vector_has_norm_0_direction_0_and_no_gradient():
    for function in (norm, unit):
        value, gradient = jax.value_and_grad(lambda x, f=function: jnp.sum(f(x)))(jnp.zeros((2, 3)))
        assert float(value) == 0.0
        np.testing.assert_array_equal(gradient, np.zeros((2, 3)))


def test_gradients_of_norm_and_direction_equal_torch(rng):
    x = rng.standard_normal((4, 3))
    for ours, theirs in ((norm, lambda t: t.norm(dim=-1)), (unit, torch.nn.functional.normalize)):
        t = torch.tensor(x, requires_grad=True)
        (theirs(t) * torch.arange(theirs(t).numel()).reshape(theirs(t).shape)).sum().backward()
        with float64():
            weights = jnp.arange(ours(jnp.asarray(x)).size).reshape(ours(jnp.asarray(x)).shape)
            gradient = jax.grad(lambda y, f=ours, w=weights: jnp.sum(f(y) * w))(jnp.asarray(x))
        np.testing.assert_allclose(gradient, t.grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "uint16", "bool"])
def test_signed_labels_hold_every_class_number(dtype):
    assert signed(np.asarray([1], dtype)).dtype == jnp.int32


def test_log1p_of_fraction_is_right_to_the_last_digits():
    x = np.concatenate([np.linspace(0, 1, 10_001), np.logspace(-37, 0, 500)]).astype(np.float32)
    exact = np.log1p(x.astype(np.float64))
    error = np.abs(np.asarray(jax.jit(log1p_of_fraction)(x), np.float64) - exact)
    assert np.all(error <= 3 * np.spacing(exact.astype(np.float32)))
    with float64():
        np.testing.assert_allclose(log1p_of_fraction(jnp.float64(1e-9)), np.log1p(1e-9), rtol=1e-15)


def test_full_product_is_a_product_whose_factors_stay_as_they_are(rng):
    a, b = rng.standard_normal((2, 3, 4)), rng.standard_normal((4, 2))
    np.testing.assert_allclose(full_product(jnp.float32(a), jnp.float32(b)), a @ b, rtol=1e-5, atol=1e-6)
    assert "HIGHEST" in str(jax.make_jaxpr(full_product)(a, b))


def test_exponentials_of_very_many_columns_are_summed_in_blocks_on_a_cpu(rng):
    x = rng.standard_normal((5, numerics.WIDE + 1)).astype(np.float32)
    x[1, [3, 7]] = np.inf
    x[2] = -np.inf
    x[3, -1] = np.nan
    x[4, :-1] = -np.inf
    theirs = torch.log_softmax(torch.tensor(x[0].astype(np.float64)), -1).numpy()
    np.testing.assert_allclose(log_softmax(x, -1)[0], theirs, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(softmax, static_argnums=1)(x, 1)[0], np.exp(theirs), rtol=2e-6)

    shares = np.zeros_like(x[:1]).repeat(5, axis=0)
    shares[1, [3, 7]], shares[3], shares[4, -1] = 0.5, np.nan, 1
    np.testing.assert_allclose(softmax(x, -1)[1:], shares[1:], rtol=1e-6)
    np.testing.assert_allclose(jnp.exp(log_softmax(x, -1))[1:], shares[1:], rtol=1e-6)
    lowered = [jax.jit(log_softmax, static_argnums=1).lower(part, -1).as_text() for part in (x, x[:, :-1])]
    assert ["stablehlo.while" in text for text in lowered] == [True, False]


@pytest.mark.parametrize("function", [softmax, log_softmax])
def test_sums_in_blocks_of_columns_differentiate_batch_and_vary_as_those_at_once(function, monkeypatch, rng):
    x = jnp.asarray(rng.standard_normal((2, 11)), jnp.float32)

    def results():
        second = jax.hessian(lambda x: jnp.sum(function(x, -1) ** 2))(x[0])
        batched = jax.vmap(lambda column: function(column, 0), in_axes=1)(x.T)
        return function(x, -1), jax.jacfwd(lambda x: function(x, -1))(x), second, batched

    at_once = results()
    monkeypatch.setattr(numerics, "WIDE", 4)
    monkeypatch.setattr(numerics, "BLOCK", 3)
    for ours, theirs in zip(results(), at_once, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert "scan" in str(jax.make_jaxpr(lambda x: function(x, -1))(x))
    on_axes_of_their_own(lambda x: function(x, -1), x)
