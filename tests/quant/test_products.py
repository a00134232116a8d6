"""Products of quantized arrays: exact where they are of integers, and the floats that integers stand for elsewhere."""

import itertools
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl import functional
from fjdl.quant import (
    Quantized,
    absmax_quantize,
    affine_grid,
    dequantize,
    float8_quantize,
    grid_of,
    integers,
    nf4_quantize,
    quantize,
    quantize_examples,
    quantize_rows,
    stored,
    symmetric_grid,
    zeropoint_quantize,
)
from fjdl.quant.products import conv2d, embedding, kernel_sums, linear, matmul

KERNELS = {
    "tensor": absmax_quantize,
    "channel": partial(absmax_quantize, axis=-1),
    "zero point": partial(zeropoint_quantize, axis=-1),
    "four bits of groups": partial(absmax_quantize, bits=4, axis=-1, group=8),
    "zero points of groups": partial(zeropoint_quantize, bits=3, axis=-1, group=6),
    "native": lambda x: stored(absmax_quantize(x, bits=4, axis=-1), form="native"),
    "NF4": partial(nf4_quantize, axis=-1, group=12),
    "float8": partial(float8_quantize, axis=-1),
}
INPUTS = {
    "floats": lambda x: x,
    "static": lambda x: quantize(x, symmetric_grid(3.0)),
    "static with zero point": lambda x: quantize(x, affine_grid(-1.0, 3.0)),
    "rows": quantize_rows,
    "rows with zero points": partial(zeropoint_quantize, axis=(0, 1)),
}


def reals(x: Any) -> np.ndarray:
    return np.asarray(dequantize(x) if isinstance(x, Quantized) else x, np.float64)


def data(rng: np.random.Generator, *shape: int) -> jax.Array:
    return jnp.asarray(rng.standard_normal(shape) + 0.3, jnp.float32)


@pytest.mark.parametrize("scheme", KERNELS)
def test_a_dense_layer_is_the_product_of_what_integers_stand_for(scheme: str, rng: np.random.Generator) -> None:
    kernel = KERNELS[scheme](data(rng, 24, 5))
    for make in INPUTS.values():
        x = make(data(rng, 2, 3, 24))
        y = linear(x, kernel)
        assert y.dtype == jnp.float32
        np.testing.assert_allclose(y, reals(x) @ reals(kernel), rtol=2e-5, atol=2e-5)


def test_sums_of_integers_are_exact() -> None:
    """The largest ones there are, of which float32 would round the sum."""
    x = Quantized(jnp.full((1, 4099), 127, jnp.int8), jnp.ones((1, 1)))
    kernel = Quantized(jnp.full((4099, 2), 127, jnp.int8).at[0, 0].set(-126), jnp.ones((1, 2)))
    total = linear(x, kernel, dtype=jnp.float32)
    np.testing.assert_array_equal(total, [[np.float32(4098 * 127**2 - 127 * 126), np.float32(4099 * 127**2)]])


def test_bias_activation_and_grid_follow_in_one_pass(rng: np.random.Generator) -> None:
    x, kernel, bias = quantize_rows(data(rng, 6, 16)), absmax_quantize(data(rng, 16, 4), axis=-1), data(rng, 4)
    whole = np.maximum(reals(x) @ reals(kernel) + np.asarray(bias), 0)
    y = linear(x, kernel, bias, activation=jax.nn.relu)
    np.testing.assert_allclose(y, whole, rtol=1e-5, atol=1e-5)
    onto = affine_grid(0.0, float(whole.max()))
    small = linear(x, kernel, bias, activation=jax.nn.relu, onto=onto)
    assert small.values.dtype == jnp.int8
    np.testing.assert_array_equal(integers(small), integers(quantize(y, onto)))
    np.testing.assert_array_equal(grid_of(small).zero_point, [[-128]])


def test_half_precision_keeps_its_dtype_and_gets_a_gradient(rng: np.random.Generator) -> None:
    x, kernel = data(rng, 3, 8).astype(jnp.bfloat16), absmax_quantize(data(rng, 8, 2), axis=-1)
    assert linear(x, kernel).dtype == jnp.bfloat16
    np.testing.assert_allclose(linear(x, kernel).astype(jnp.float32), reals(x) @ reals(kernel), rtol=1e-2, atol=1e-2)
    slope = jax.grad(lambda x: jnp.sum(linear(x, kernel)))(data(rng, 3, 8))
    np.testing.assert_allclose(slope, np.broadcast_to(reals(kernel).sum(axis=1), (3, 8)), rtol=1e-5)


@pytest.mark.by_day_on_pin(1)
def test_stacks_of_matrices_are_multiplied_pair_by_pair(rng: np.random.Generator) -> None:
    a, b = data(rng, 2, 3, 4, 6), data(rng, 2, 3, 6, 5)
    axes = [((0, 1, 2), (0, 1, 3)), (None, None), ((0, 1), (0, 1))]
    for (of_a, of_b), scheme in itertools.product(axes, (absmax_quantize, zeropoint_quantize)):
        p, q = scheme(a, axis=of_a), scheme(b, axis=of_b)
        np.testing.assert_allclose(matmul(p, q), reals(p) @ reals(q), rtol=1e-5, atol=1e-5)
    grouped = absmax_quantize(a, axis=(0, 1, 2), group=3), zeropoint_quantize(b, axis=(0, 1, 3), group=3)
    np.testing.assert_allclose(matmul(*grouped), reals(grouped[0]) @ reals(grouped[1]), rtol=1e-5, atol=1e-5)


GEOMETRIES = {
    "same": ((7, 6, 3), (3, 3, 3, 4), {}),
    "one channel": ((8, 8, 1), (5, 5, 1, 6), {"padding": 2}),
    "stride": ((7, 8, 16), (3, 3, 16, 20), {"stride": 2, "padding": 1}),
    "one pixel": ((5, 4, 8), (1, 1, 8, 3), {"stride": (2, 1)}),
    "one pixel padded": ((3, 3, 2), (1, 1, 2, 3), {"padding": 1}),
    "depthwise": ((6, 6, 4), (3, 3, 1, 8), {"groups": 4}),
    "groups": ((6, 5, 8), (3, 2, 4, 6), {"groups": 2, "padding": "VALID", "dilation": (1, 2)}),
    "few channels": ((6, 6, 9), (3, 3, 9, 10), {}),
    "no padding": ((6, 5, 9), (3, 3, 9, 20), {"padding": "VALID", "stride": (1, 2)}),
    "no padding, few channels": ((6, 6, 9), (2, 3, 9, 10), {"padding": "VALID"}),
    "circular": ((6, 5, 4), (3, 2, 4, 3), {"padding": "CIRCULAR"}),
    "reflected": ((6, 5, 4), (3, 3, 4, 3), {"padding": "REFLECT", "stride": 2}),
}


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_convolution_is_that_of_what_integers_stand_for(geometry: str, rng: np.random.Generator) -> None:
    image, shape, options = GEOMETRIES[geometry]
    batch = data(rng, 2, *image)
    for scheme, make in itertools.product(
        (absmax_quantize, zeropoint_quantize), ("static with zero point", "examples")
    ):
        kernel = scheme(data(rng, *shape), axis=-1)
        x = quantize_examples(batch) if make == "examples" else INPUTS[make](batch)
        expected = functional.conv2d(dequantize(x), dequantize(kernel), **options)
        np.testing.assert_allclose(conv2d(x, kernel, **options), expected, rtol=2e-5, atol=5e-5)


@pytest.mark.by_day_on_pin(0)
def test_sums_of_kernels_that_are_known_change_nothing(rng: np.random.Generator) -> None:
    grid, image, vectors = affine_grid(-1.0, 3.0), data(rng, 2, 5, 5, 4), data(rng, 3, 8)
    kernel = absmax_quantize(data(rng, 3, 3, 4, 6), axis=-1)
    sums = kernel_sums(kernel)
    np.testing.assert_array_equal(sums, np.asarray(integers(kernel), np.int64).sum(axis=2))
    x = quantize(image, grid)
    np.testing.assert_array_equal(conv2d(x, kernel, sums=sums), conv2d(x, kernel))
    matrix = absmax_quantize(data(rng, 8, 5), axis=-1, group=4)
    sums = kernel_sums(matrix)
    np.testing.assert_array_equal(sums, np.asarray(integers(matrix), np.int64).reshape(2, 4, 5).sum(axis=1))
    x = quantize(vectors, grid)
    np.testing.assert_array_equal(linear(x, matrix, sums=sums), linear(x, matrix))


def test_a_zero_point_beyond_the_integers_pads_exactly() -> None:
    x = Quantized(jnp.ones((1, 2, 2, 1), jnp.int8), jnp.ones((1, 1, 1, 1)), jnp.full((1, 1, 1, 1), -300.0))
    kernel = absmax_quantize(jnp.full((3, 3, 1, 1), 127.0))
    np.testing.assert_allclose(conv2d(x, kernel), np.full((1, 2, 2, 1), 4 * 301.0 * 127), rtol=1e-6)


@pytest.mark.by_day_on_pin(0)
def test_convolutions_of_floats_and_of_kernels_of_groups_are_of_floats(rng: np.random.Generator) -> None:
    x, weights = data(rng, 2, 5, 5, 4), data(rng, 3, 3, 4, 6)
    for scheme in (
        partial(absmax_quantize, bits=4, axis=-1),
        nf4_of_channels,
        partial(zeropoint_quantize, axis=-1, group=2),
    ):
        kernel = scheme(weights)
        for image in (x, quantize_examples(x)):
            expected = functional.conv2d(jnp.asarray(reals(image), jnp.float32), dequantize(kernel))
            np.testing.assert_allclose(conv2d(image, kernel), expected, rtol=2e-5, atol=5e-5)
    assert conv2d(x.astype(jnp.bfloat16), kernel).dtype == jnp.bfloat16


nf4_of_channels = partial(nf4_quantize, axis=-1, group=None)


@pytest.mark.by_day_on_pin(1)
def test_bytes_go_from_convolution_to_convolution(rng: np.random.Generator) -> None:
    x, first, second = data(rng, 2, 6, 6, 3), data(rng, 3, 3, 3, 8), data(rng, 3, 3, 8, 4)
    kernels = [absmax_quantize(kernel, axis=-1) for kernel in (first, second)]
    onto = affine_grid(0.0, 20.0)

    def network(x: Any) -> Any:
        return conv2d(conv2d(quantize_examples(x), kernels[0], activation=jax.nn.relu, onto=onto), kernels[1])

    middle = jax.nn.relu(functional.conv2d(dequantize(quantize_examples(x)), dequantize(kernels[0])))
    expected = functional.conv2d(dequantize(quantize(middle, onto)), dequantize(kernels[1]))
    np.testing.assert_allclose(jax.jit(network)(x), expected, rtol=1e-4, atol=20 / 255)


@pytest.mark.by_day_on_pin(1)
def test_a_table_gives_the_rows_that_are_asked_for(rng: np.random.Generator) -> None:
    table, ids = data(rng, 7, 6), jnp.asarray([[0, 6], [3, 7]])
    for make in (
        partial(absmax_quantize, axis=0),
        partial(zeropoint_quantize, bits=4, axis=0, group=3),
        partial(absmax_quantize, bits=2),
        partial(nf4_quantize, axis=0, group=2),
    ):
        q = make(table)
        expected = functional.embedding(ids, dequantize(q))
        np.testing.assert_array_equal(embedding(ids, q), expected)
    assert np.isnan(embedding(ids, q, dtype=jnp.bfloat16)[1, 1]).all()


@pytest.mark.by_day_on_pin(0)
def test_shapes_and_scales_that_do_not_fit_are_named(rng: np.random.Generator) -> None:
    x = absmax_quantize(jnp.ones((2, 12)), axis=0, group=3)
    with pytest.raises(ValueError, match=r"kernel must be a matrix of 12 rows, got shape \[6, 2\]"):
        linear(x, absmax_quantize(jnp.ones((6, 2))))
    with pytest.raises(ValueError, match="scales along the axis that is summed must be alike or one, got 4 and 2"):
        linear(x, absmax_quantize(jnp.ones((12, 2)), axis=-1, group=6))
    with pytest.raises(ValueError, match=r"the matrices of a and b must fit, got shapes \[2, 12\] and \[2, 12\]"):
        matmul(x, x)
    with pytest.raises(ValueError, match=r"x must have one scale for all or for each image, got \[1, 1, 1, 2\]"):
        conv2d(absmax_quantize(jnp.ones((2, 4, 4, 2)), axis=-1), absmax_quantize(jnp.ones((3, 3, 2, 2))))
    with pytest.raises(
        ValueError, match=r"table must be a matrix whose scales are for all rows or for each, got \[2, 2\]"
    ):
        embedding(jnp.asarray([0]), absmax_quantize(jnp.ones((4, 2)), axis=1, group=2))


@pytest.mark.by_day_on_pin(1)
def test_linear_runs_in_each_step_of_a_scan(rng: np.random.Generator) -> None:
    """The seam of a recurrent cell: its state is quantized anew in each step."""
    kernel = absmax_quantize(data(rng, 4, 4) / 4, axis=-1)

    def step(h: Any, x: Any) -> Any:
        h = jnp.tanh(linear(quantize_rows(h), kernel) + x)
        return h, h

    xs = data(rng, 5, 2, 4)
    h = jnp.zeros((2, 4))
    expected = []
    for x in xs:
        h = jnp.tanh(jnp.asarray(reals(quantize_rows(h)) @ reals(kernel), jnp.float32) + x)
        expected.append(h)
    np.testing.assert_allclose(jax.lax.scan(step, jnp.zeros((2, 4)), xs)[1], jnp.stack(expected), atol=0.02)
