"""Grids that are stated, rounding onto them, and what a `Quantized` must be."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.quant import (
    Grid,
    Quantized,
    absmax_quantize,
    affine_grid,
    dequantize,
    from_integers,
    grid_of,
    integers,
    quantize,
    require,
    rounded,
    spread,
    stored,
    symmetric_grid,
)


def test_e39_a_grid_of_activations_holds_zero_whatever_the_range() -> None:
    """By hand: [10, 11] becomes [0, 11], [-3, -1] becomes [-3, 0], and [-1, 3] has 64 of 256 steps below 0."""
    grid = affine_grid(jnp.asarray([10.0, -3.0, -1.0, 0.0]), jnp.asarray([11.0, -1.0, 3.0, 0.0]))
    np.testing.assert_allclose(grid.scale, [11 / 255, 3 / 255, 4 / 255, 1.0], rtol=1e-6)
    np.testing.assert_array_equal(grid.zero_point, [-128, 127, -64, -128])
    np.testing.assert_array_equal(dequantize(quantize(jnp.zeros((3, 4)), grid_with_axes(grid))), np.zeros((3, 4)))


def grid_with_axes(grid: Grid) -> Grid:
    return Grid(grid.scale[None], grid.zero_point[None], grid.bits)


def test_numbers_beyond_the_grid_are_limited_as_torch_limits_them(rng: np.random.Generator) -> None:
    x = rng.standard_normal((5, 7)).astype(np.float32) * 3
    grid = affine_grid(-1.0, 2.0)
    ours = dequantize(quantize(x, grid))
    theirs = torch.fake_quantize_per_tensor_affine(torch.tensor(x), float(grid.scale), int(grid.zero_point), -128, 127)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(integers(quantize(jnp.asarray([np.inf, -np.inf]), grid)), [127, -128])


def test_a_symmetric_grid_leaves_out_its_lowest_integer() -> None:
    assert symmetric_grid(2.0, bits=4).limits == (-7, 7)
    assert affine_grid(0.0, 2.0, bits=4).limits == (-8, 7)
    np.testing.assert_array_equal(rounded(jnp.asarray([-9.0, 9.0]), symmetric_grid(2.0, bits=4)), [-7, 7])


def test_a_scale_without_axes_holds_for_all() -> None:
    q = quantize(jnp.ones((2, 3)), symmetric_grid(1.0))
    assert q.scale.shape == (1, 1)
    np.testing.assert_array_equal(integers(q), np.full((2, 3), 127))


def test_another_array_is_put_onto_the_grid_of_a_first() -> None:
    q = absmax_quantize(jnp.asarray([[1.0, 10.0], [0.5, -5.0]]), axis=-1)
    again = quantize(jnp.asarray([[0.25, 20.0], [-1.0, 0.0]]), grid_of(q))
    np.testing.assert_array_equal(integers(again), [[32, 127], [-127, 0]])


def test_integers_that_were_rounded_elsewhere_are_packed_and_read_back() -> None:
    whole = np.array([[1, -2, 0], [-1, 1, 1]], np.int8)
    q = from_integers(whole, Grid(jnp.asarray([[0.5, 1.0, 2.0]]), bits=2))
    assert q.values.shape == (2, 1)
    np.testing.assert_array_equal(integers(q), whole)
    np.testing.assert_array_equal(dequantize(q), [[0.5, -2, 0], [-0.5, 1, 2]])


def test_a_scale_of_blocks_is_spread_over_them() -> None:
    np.testing.assert_array_equal(spread(jnp.asarray([[1.0], [2.0]]), (4, 3)), [[1.0], [1.0], [2.0], [2.0]])


def test_nan_is_refused_and_infinity_is_limited() -> None:
    with pytest.raises(ValueError, match="x must hold no NaN, got 2 among 3 entries"):
        quantize(jnp.asarray([np.nan, 1.0, np.nan]), symmetric_grid(1.0))
    with pytest.raises(ValueError, match="largest must not be negative"):
        symmetric_grid(-1.0)
    with pytest.raises(ValueError, match=r"the lengths of a grid's scale must divide .*, got \[2\] for \[3\]"):
        quantize(jnp.ones(3), Grid(jnp.ones(2)))


GOOD = Quantized(jnp.zeros((4, 2), jnp.uint8), jnp.ones((1, 3)), None, 4, 3)


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        ({"columns": 5}, r"packed values must have the bytes of `columns` integers of 4 bits .*, got \[4, 2\] for 5"),
        ({"columns": None}, r"packed values must have the bytes .* for None"),
        ({"values": jnp.zeros((4, 3), jnp.int8)}, "columns must be None unless values are packed in uint8, got 3"),
        ({"values": jnp.zeros((4, 3)), "columns": None}, "values must be int8, packed uint8, float8, .* got float32"),
        ({"values": jnp.zeros((4, 3), jnp.int2), "columns": None}, "an integer type of 4 bits, got int2"),
        ({"scale": jnp.ones((1, 2))}, r"its lengths must divide those of the values, got float32\[1, 2\] for \[4, 3\]"),
        ({"scale": jnp.ones((3,))}, r"scale must be float32"),
        ({"scale": jnp.ones((1, 3), jnp.bfloat16)}, r"scale must be float32, .* got bfloat16\[1, 3\]"),
        (
            {"zero_point": jnp.ones((1, 1))},
            r"zero_point must be float32 and of the shape of scale, got float32\[1, 1\]",
        ),
        ({"levels": (0.0, 1.0)}, "levels must be 16 for 4 bits, got 2"),
        ({"bits": 9}, r"bits must lie in \[2, 8\], got 9"),
    ],
)
def test_what_breaks_an_invariant_is_named(broken: dict, sentence: str) -> None:
    assert require(GOOD).shape == (4, 3)
    assert (GOOD.ndim, GOOD.size) == (2, 12)
    with pytest.raises(ValueError, match=sentence):
        require(replace(GOOD, **broken))


def test_a_form_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="form must be 'bytes', 'packed' or 'native', got 'zip'"):
        stored(GOOD, form="zip")
