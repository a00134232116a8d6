"""Rows of fjdl.quant."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np

from fjdl import optim, quant
from fjdl.metrics import measure
from fjdl.quant import products, ranges
from fjdl.typing import Array
from tests.cases.case import Case, f32, inputs, labels, normal, uniform


def quantized(*shape: int) -> Callable[[np.random.Generator], quant.Quantized]:
    return lambda rng: quant.Quantized(
        rng.integers(-128, 128, shape).astype(np.int8),
        rng.uniform(0.1, 1.0, (1, *shape[1:])).astype(np.float32),
        np.full((1, *shape[1:]), 3, np.float32),
    )


def four_bits(*shape: int) -> Callable[[np.random.Generator], quant.Quantized]:
    return lambda rng: quant.Quantized(
        rng.integers(0, 256, (*shape[:-1], (shape[-1] + 1) // 2)).astype(np.uint8),
        rng.uniform(0.1, 1.0, (1, *shape[1:])).astype(np.float32),
        bits=4,
        columns=shape[-1],
    )


def small_integers(bits: int, *shape: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), shape).astype(np.int8)


def grid(rng: np.random.Generator) -> quant.Grid:
    return quant.Grid(rng.uniform(0.1, 1.0, (1, 3)).astype(np.float32), np.full((1, 3), 2, np.float32))


def ranging(calibrator: Callable[[], ranges.Calibrator]) -> Case:
    def range_at_once(x: Array) -> ranges.Range:
        return ranges.range_of(calibrator(), x)

    name = getattr(calibrator, "func", calibrator).__name__
    return Case(range_at_once, inputs(normal(5, 4)), result="float32", label=name)


def in_int8(rows: tuple[int, ...], *shape: int) -> Callable[[np.random.Generator], quant.Quantized]:
    """Integers with a scale of the shape `rows`."""
    return lambda rng: quant.Quantized(
        rng.integers(-127, 128, shape).astype(np.int8), rng.uniform(0.01, 0.02, rows).astype(np.float32)
    )


def weight_only(x: Array, bias: Array) -> Any:
    """Of floats by integers in bytes, whose scales keep float32 under every law."""
    return products.linear(x, quant.absmax_quantize(np.arange(18.0, dtype=np.float32).reshape(6, 3), axis=-1), bias)


def positive(n: int) -> Callable[[np.random.Generator], np.ndarray]:
    return lambda rng: np.cov(rng.standard_normal((n, 3 * n))).astype(np.float32)


def adaround_in_three_steps(kernel: Array) -> quant.Quantized:
    grid, optimizer = quant.symmetric_grid(2.0, bits=4), optim.sgd(0.1)
    return quant.adaround(kernel, grid, lambda k, step: jnp.sum(jnp.square(k)), optimizer=optimizer, steps=3)


def gptq_in_four_bits(kernel: Array, moments: Array) -> quant.Quantized:
    return quant.gptq_quantize(kernel, moments, quant.symmetric_grid(2.0, bits=4))


def moments_at_once(x: Array) -> Array:
    return measure(quant.input_moments(channels=4), x)


CASES: list[Case] = [
    Case(quant.straight_through_round, inputs(normal(5))),
    Case(partial(quant.fake_quantize, grid=quant.symmetric_grid(2.0, bits=4)), inputs(normal(6, 3))),
    Case(quant.learned_step, inputs(normal(6, 3)), result="float32"),
    Case(quant.lsq_quantize, inputs(normal(6, 3), lambda rng: np.float32(0.1))),
    Case(
        quant.fold_batch_norm,
        inputs(normal(3, 3, 2, 4), normal(4), lambda rng: rng.uniform(0.5, 1.5, 4).astype(np.float32)),
        result=None,
    ),
    Case(products.linear, inputs(in_int8((4, 1), 4, 6), in_int8((1, 3), 6, 3)), result=None),
    Case(weight_only, inputs(normal(4, 6), normal(3)), differentiable=(0, 1), domain=(-1e3, 1e3)),
    Case(products.matmul, inputs(in_int8((2, 1, 1), 2, 4, 6), in_int8((2, 1, 3), 2, 6, 3)), result=None),
    Case(products.conv2d, inputs(in_int8((2, 1, 1, 1), 2, 5, 5, 3), in_int8((1, 1, 1, 4), 3, 3, 3, 4)), result=None),
    Case(products.kernel_sums, inputs(in_int8((1, 1, 1, 4), 3, 3, 3, 4)), result=None),
    Case(products.embedding, inputs(labels(3, classes=4), four_bits(4, 6)), result=None),
    Case(quant.quantize_rows, inputs(normal(4, 3)), result=None),
    Case(quant.quantize_examples, inputs(normal(4, 3)), result=None),
    Case(adaround_in_three_steps, inputs(normal(6, 3)), result=None),
    Case(gptq_in_four_bits, inputs(normal(6, 3), positive(6)), result=None),
    Case(moments_at_once, inputs(normal(5, 4)), result="float32"),
    Case(
        partial(quant.unfolded_inputs, channels=4, groups=2),
        inputs(normal(3, 8)),
        (0,),
        oracle=lambda x: x.reshape(3, 2, 2, 2).transpose(0, 2, 1, 3).reshape(3, 2, 4),
    ),
    Case(
        quant.product_error,
        inputs(normal(4, 3), normal(4, 3), positive(4)),
        (0, 1, 2),
        result="float32",
        oracle=lambda kernel, changed, moments: np.trace((changed - kernel).T @ moments @ (changed - kernel)),
    ),
    Case(quant.equalize_layers, inputs(normal(3, 4), normal(4, 5)), result=None),
    Case(
        partial(quant.equalize_layers, groups=2), inputs(normal(3, 4), normal(1, 1, 2, 6)), result=None, label="groups"
    ),
    Case(quant.correct_bias, inputs(normal(3), normal(2, 4, 3), normal(2, 4, 3)), result="float32"),
    Case(
        quant.correct_bias_by_means,
        inputs(normal(3), normal(2, 2, 4, 3), normal(2, 2, 4, 3), normal(4)),
        result="float32",
    ),
    Case(partial(quant.rectified_mean, top=6.0), inputs(normal(5), uniform(5, low=0.5)), (0, 1), result="float32"),
    *map(
        ranging,
        (
            ranges.minmax,
            partial(ranges.percentile, percent=99.0),
            partial(ranges.mse_optimal, bits=4),
            ranges.kl_optimal,
            ranges.moving_average,
        ),
    ),
    Case(lambda x: ranges.range_of(ranges.fixed(0.0, 6.0), x), inputs(normal(3)), result="float32", label="fixed"),
    Case(partial(quant.absmax_quantize, axis=-1), inputs(normal(4, 3)), result=None),
    Case(partial(quant.absmax_quantize, axis=0, group=2, bits=3), inputs(normal(4, 4)), result=None, label="packed"),
    Case(partial(quant.zeropoint_quantize, axis=-1), inputs(normal(4, 3)), result=None),
    Case(partial(quant.nf4_quantize, axis=0, group=2), inputs(normal(4, 4)), result=None),
    Case(partial(quant.float8_quantize, axis=-1), inputs(normal(4, 3)), result=None),
    Case(partial(quant.saturating_cast, dtype=jnp.float16), inputs(normal(4, 3)), result="float16"),
    Case(quant.symmetric_grid, inputs(uniform(3)), result=None, errors=(((f32(-1),), "largest must not be negative"),)),
    Case(quant.affine_grid, inputs(uniform(3, low=-1), uniform(3, low=1, high=2)), result=None),
    Case(quant.quantize, inputs(normal(4, 3), grid), result=None),
    Case(quant.rounded, inputs(normal(4, 3), grid), result=None),
    Case(quant.from_integers, inputs(small_integers(8, 4, 3), grid), result=None),
    Case(quant.grid_of, inputs(quantized(4, 3)), result=None),
    Case(quant.integers, inputs(four_bits(4, 3)), result=None),
    Case(quant.dequantize, inputs(quantized(4, 3)), result=None),
    Case(quant.dequantize, inputs(four_bits(4, 3)), result=None, label="packed"),
    Case(quant.require, inputs(quantized(4, 3)), result=None),
    Case(partial(quant.stored, form="bytes"), inputs(four_bits(4, 3)), result=None),
    Case(partial(quant.spread, shape=(4, 6)), inputs(uniform(2, 3)), result=None),
    Case(partial(quant.pack, bits=3), inputs(small_integers(3, 4, 5)), result=None),
    Case(
        partial(quant.unpack, bits=3, columns=5),
        inputs(lambda rng: rng.integers(0, 256, (4, 3)).astype(np.uint8)),
        result=None,
    ),
    Case(
        partial(quant.quantize_tree, quantize=quant.absmax_quantize),
        inputs(lambda rng: {"kernel": normal(4, 3)(rng), "bias": normal(3)(rng)}),
        result=None,
    ),
    Case(quant.dequantize_tree, inputs(lambda rng: {"kernel": quantized(4, 3)(rng)}), result=None),
    Case(partial(quant.store_tree, form="bytes"), inputs(lambda rng: {"kernel": four_bits(4, 3)(rng)}), result=None),
]
