"""Quantization that gradients pass through."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import quant
from fjdl.quant import Grid

BITS = [8, 4, 2]


def numbers(*shape: int, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("affine", [False, True])
def test_values_are_those_of_quantizing_and_back_bit_for_bit(bits: int, affine: bool) -> None:
    x = numbers(10_000, 4)
    grid = (
        quant.affine_grid(-1.0, 2.5, bits=bits)
        if affine
        else quant.symmetric_grid(np.full((1, 4), 2.0, np.float32), bits=bits)
    )
    found = jax.jit(quant.fake_quantize)(x, grid)
    np.testing.assert_array_equal(found, quant.dequantize(quant.quantize(x, grid)))
    np.testing.assert_array_equal(quant.fake_quantize(found, grid), found)


@pytest.mark.parametrize("learned", [False, True])
def test_values_and_gradients_are_those_of_pytorch(learned: bool) -> None:
    torch = pytest.importorskip("torch")
    x, weights = numbers(500), numbers(500, seed=1)
    scale, zero, limits = np.float32(0.0625), np.float32(3.0), (-8, 7)
    operands = [torch.tensor(v, requires_grad=True) for v in (x, scale.reshape(1), zero.reshape(1))]
    if learned:
        y = torch._fake_quantize_learnable_per_tensor_affine(*operands, *limits, 1.0)
    else:
        y = torch.fake_quantize_per_tensor_affine(operands[0], float(scale), int(zero), *limits)
    (y * torch.from_numpy(weights)).sum().backward()

    def loss(x: jax.Array, scale: jax.Array, zero: jax.Array) -> jax.Array:
        return jnp.sum(quant.fake_quantize(x, Grid(scale, zero, bits=4)) * weights)

    np.testing.assert_allclose(quant.fake_quantize(x, Grid(scale, zero, bits=4)), y.detach().numpy(), rtol=1e-6)
    slopes = jax.grad(loss, argnums=(0, 1, 2))(*map(jnp.asarray, (x, scale, zero)))
    for slope, operand in zip(slopes, operands[: 3 if learned else 1], strict=False):
        np.testing.assert_allclose(slope, operand.grad.numpy().reshape(slope.shape), rtol=2e-4, atol=1e-5)


def test_the_gradient_by_hand() -> None:
    x, grid = jnp.array([-9.0, -1.75, 0.5, 1.5, 9.0]), Grid(jnp.float32(0.5), bits=3)
    slope = jax.grad(lambda x, s: jnp.sum(quant.fake_quantize(x, Grid(s, bits=3))), argnums=(0, 1))
    by_x, by_scale = slope(x, grid.scale)
    np.testing.assert_array_equal(by_x, [0, 0, 1, 1, 0])  # -1.75 / 0.5 rounds to -4, and the grid ends at -3
    assert float(by_scale) == -3 - 3 + 0 + 0 + 3


def test_a_nan_stays_and_an_infinity_is_limited() -> None:
    found = quant.fake_quantize(jnp.array([np.nan, np.inf, -np.inf]), quant.symmetric_grid(2.0))
    np.testing.assert_array_equal(found, [np.nan, 2, -2])


def test_halves_are_computed_in_float32() -> None:
    x = jnp.asarray(numbers(100), jnp.bfloat16)
    found = quant.fake_quantize(x, quant.symmetric_grid(2.0))
    assert found.dtype == jnp.bfloat16
    np.testing.assert_array_equal(
        found, quant.dequantize(quant.quantize(x, quant.symmetric_grid(2.0)), dtype=jnp.bfloat16)
    )


def test_rounding_has_the_derivative_one_and_no_second() -> None:
    x = jnp.array([0.5, 1.5, -2.3])
    np.testing.assert_array_equal(quant.straight_through_round(x), [0, 2, -2])
    slope = jax.grad(lambda x: jnp.sum(quant.straight_through_round(x) ** 2))(x)
    np.testing.assert_array_equal(slope, [0, 4, -4])
    np.testing.assert_array_equal(jax.hessian(lambda x: jnp.sum(quant.straight_through_round(x)))(x), np.zeros((3, 3)))


@pytest.mark.parametrize("bits", BITS)
def test_a_learned_step_starts_and_moves_as_published(bits: int) -> None:
    x, top = numbers(1000), 2 ** (bits - 1) - 1
    step = quant.learned_step(x, bits=bits)
    np.testing.assert_allclose(step, 2 * np.mean(np.abs(x)) / np.sqrt(top), rtol=1e-6)
    slope = jax.grad(lambda s: jnp.sum(quant.lsq_quantize(x, s, bits=bits)))(step)
    v = x / float(step)
    expected = np.where(np.abs(np.round(v)) <= top, np.round(v) - v, np.sign(v) * top)
    np.testing.assert_allclose(slope, expected.sum() / np.sqrt(x.size * top), rtol=1e-3, atol=1e-4)


def test_a_learned_step_finds_the_least_error_of_its_bits() -> None:
    x = jnp.asarray(numbers(4000))

    def error(step: jax.Array) -> jax.Array:
        return jnp.mean(jnp.square(quant.lsq_quantize(x, step, bits=3) - x))

    step, descend = quant.learned_step(x, bits=3), jax.jit(lambda s: s - 20.0 * jax.grad(error)(s))
    for _ in range(100):
        step = descend(step)
    tried = np.linspace(0.2, 1.2, 101, dtype=np.float32)
    best = min(float(error(jnp.float32(s))) for s in tried)
    assert float(error(step)) < best * 1.01


def test_a_step_that_fell_to_zero_gives_no_nan() -> None:
    x = jnp.ones(3)
    assert np.isfinite(quant.lsq_quantize(x, jnp.float32(0.0))).all()
    assert np.isfinite(jax.grad(lambda s: jnp.sum(quant.lsq_quantize(x, s)))(jnp.float32(-1.0)))


def test_bits_out_of_range_are_refused() -> None:
    for function in (partial(quant.learned_step, jnp.ones(2)), partial(quant.lsq_quantize, jnp.ones(2), jnp.ones(()))):
        with pytest.raises(ValueError, match=r"bits must lie in \[2, 8\], got 9"):
            function(bits=9)
