"""Rows of normalization, dropout and noise."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from fjdl.functional.batch_norm import batch_norm, batch_norm_inference, batch_norm_of_product, running_moments
from fjdl.functional.dropout import (
    classic_dropout,
    classic_dropout_inference,
    dropout_expectation,
    dropout_masks,
    spatial_dropout,
    stochastic_depth,
)
from fjdl.functional.layer_norm import group_norm, instance_norm, layer_norm, rms_norm
from fjdl.functional.local_response import local_response_norm
from fjdl.functional.noise import drop_connect, gaussian_dropout, gaussian_noise
from tests.cases.case import Case, f32, inputs, key, normal, of_torch, uniform

F = torch.nn.functional
IMAGE = normal(3, 4, 2, 6)
CONSTANT = np.full((2, 3, 4), 7.5, np.float32)
PRESENT = np.array([True, False, True, True])


def batch_norm_in_one_dtype(x: Any, scale: Any, bias: Any, mask: Any = None) -> Any:
    """Result and moments in the dtype of `x`; that moments stay float32 is a test of its own."""
    return jax.tree.map(lambda leaf: leaf.astype(x.dtype), batch_norm(x, scale, bias, mask=mask))


def masked_batch_norm_in_one_dtype(x: Any, scale: Any, bias: Any) -> Any:
    return batch_norm_in_one_dtype(x, scale, bias, PRESENT)


def shifted_batch_norm_in_one_dtype(x: Any, scale: Any, bias: Any, shift: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.astype(x.dtype), batch_norm(x, scale, bias, shift=shift))


def batch_norm_of_product_in_one_dtype(x: Any, kernel: Any, scale: Any, bias: Any) -> Any:
    return jax.tree.map(lambda leaf: leaf.astype(x.dtype), batch_norm_of_product(x, kernel, scale, bias))


def channels_first(function: Any) -> Any:
    """A torch function on channels first, as an oracle on channels last."""
    return of_torch(lambda x, *rest: function(x.movedim(-1, 1), *rest).movedim(1, -1))


def by_torch(x: np.ndarray, scale: np.ndarray, bias: np.ndarray) -> tuple[Any, ...]:
    rows = x.reshape(-1, x.shape[-1])
    y = of_torch(lambda *a: F.batch_norm(a[0], None, None, *a[1:], training=True))(rows, scale, bias)
    return y.reshape(x.shape), (rows.mean(0), rows.var(0), np.array(len(rows)))


def by_torch_on_the_present(x: np.ndarray, scale: np.ndarray, bias: np.ndarray) -> tuple[Any, ...]:
    y = np.zeros_like(x)
    y[PRESENT], moments = by_torch(x[PRESENT], scale, bias)
    return y, moments


def five(rng: np.random.Generator) -> np.ndarray:
    return np.float32(5)


CASES: list[Case] = [
    Case(
        batch_norm_in_one_dtype,
        inputs(IMAGE, normal(6), normal(6)),
        (0, 1, 2),
        oracle=by_torch,
        edges=(
            (
                (CONSTANT, f32(1, 2, 3, 4), f32(4, 3, 2, 1)),
                (np.broadcast_to([4, 3, 2, 1], (2, 3, 4)), (np.full(4, 7.5), np.zeros(4), 6)),
            ),
            (
                (np.zeros((0, 4), np.float32), f32(1, 2, 3, 4), f32(4, 3, 2, 1)),
                (np.zeros((0, 4)), (np.zeros(4), np.zeros(4), 0)),
            ),
        ),
        errors=(
            ((np.zeros((1, 2), np.float32), f32(1, 1), f32(0, 0)), r"more than one value per channel .* \(1, 2\)$"),
            ((np.zeros((2, 2), np.float32), f32(1), f32(0)), r"batch_norm: argument `scale` must be"),
        ),
    ),
    Case(
        masked_batch_norm_in_one_dtype,
        inputs(normal(4, 3), normal(3), normal(3)),
        (0, 1, 2),
        oracle=by_torch_on_the_present,
        errors=(
            (
                (np.zeros((3, 4, 2), np.float32), f32(1, 1), f32(0, 0)),
                r"the shape of mask must be a beginning of \(3, 4\), got \(4,\)",
            ),
        ),
    ),
    Case(
        shifted_batch_norm_in_one_dtype,
        inputs(IMAGE, normal(6), normal(6), normal(6)),
        (0, 1, 2),
        oracle=lambda x, scale, bias, shift: by_torch(x, scale, bias),
    ),
    Case(
        batch_norm_of_product_in_one_dtype,
        inputs(IMAGE, normal(6, 4), normal(4), normal(4)),
        (0, 1, 2, 3),
        oracle=lambda x, kernel, scale, bias: by_torch(x @ kernel, scale, bias),
    ),
    Case(
        running_moments,
        inputs(normal(3), uniform(3), normal(3), uniform(3), five),
        (0, 1, 2, 3),
        oracle=lambda m, v, bm, bv, n: (0.9 * m + 0.1 * bm, 0.9 * v + 0.1 * bv),
        edges=(
            ((f32(1, 2), f32(3, 4), f32(np.nan, 0), f32(0, np.inf), f32(5)[0]), (f32(1, 2), f32(3, 4))),
            ((f32(1), f32(3), f32(0), f32(0), f32(1)[0]), (f32(1), f32(3))),
            ((f32(1), f32(3), f32(0), f32(0), f32(0)[0]), (f32(1), f32(3))),
        ),
    ),
    Case(
        partial(running_moments, momentum=0.7, unbiased=True),
        inputs(normal(3), uniform(3), normal(3), uniform(3), five),
        label="unbiased",
        oracle=lambda m, v, bm, bv, n: (0.7 * m + 0.3 * bm, 0.7 * v + 0.3 * bv * n / (n - 1)),
    ),
    Case(
        batch_norm_inference,
        inputs(IMAGE, normal(6), uniform(6), normal(6), normal(6)),
        (0, 1, 2, 3, 4),
        domain=(0.0, 1e4),
        oracle=channels_first(lambda x, m, v, s, b: F.batch_norm(x, m, v, s, b)),
    ),
    Case(
        layer_norm,
        inputs(normal(2, 3, 6), normal(6), normal(6)),
        (0, 1, 2),
        oracle=of_torch(lambda x, s, b: F.layer_norm(x, (6,), s, b)),
        edges=(
            ((CONSTANT, f32(1, 2, 3, 4), f32(4, 3, 2, 1)), np.broadcast_to([4, 3, 2, 1], (2, 3, 4))),
            ((f32([5], [6]), f32(2), f32(3)), f32([3], [3])),
            ((np.zeros((0, 1), np.float32), f32(2), f32(3)), np.zeros((0, 1))),
        ),
    ),
    Case(
        rms_norm,
        inputs(normal(2, 3, 6), normal(6)),
        (0, 1),
        oracle=of_torch(lambda x, s: F.rms_norm(x, (6,), s, eps=1e-6)),
        edges=(((f32([0, 0], [3, 4]), f32(1, 5)), f32([0, 0], [3 / np.sqrt(12.5), 20 / np.sqrt(12.5)])),),
    ),
    Case(
        partial(group_norm, groups=3),
        inputs(IMAGE, normal(6), normal(6)),
        (0, 1, 2),
        oracle=channels_first(lambda x, s, b: F.group_norm(x, 3, s, b)),
        edges=(
            (
                (np.full((2, 1, 3), 1e4, np.float32).repeat(2, 1), f32(1, 2, 3), f32(3, 2, 1)),
                np.broadcast_to([3, 2, 1], (2, 2, 3)),
            ),
        ),
        errors=(
            ((np.zeros((2, 4), np.float32), f32(1, 1, 1, 1)), r"^groups must divide the 4 channels, got 3$"),
            ((np.zeros((2, 3), np.float32), f32(1, 1, 1)), r"^each group must hold more than one value, got x of"),
        ),
    ),
    Case(
        instance_norm,
        inputs(IMAGE, normal(6), normal(6)),
        oracle=channels_first(lambda x, s, b: F.instance_norm(x, weight=s, bias=b)),
    ),
    Case(
        partial(local_response_norm, size=3, alpha=0.7, average=True),
        inputs(IMAGE),
        (0,),
        label="average",
        oracle=channels_first(lambda x: F.local_response_norm(x, 3, alpha=0.7, k=2.0)),
    ),
    Case(
        partial(local_response_norm, size=4, alpha=0.7, beta=0.5, k=1.0),
        inputs(IMAGE),
        (0,),
        oracle=channels_first(lambda x: F.local_response_norm(x, 4, alpha=4 * 0.7, beta=0.5, k=1.0)),
        edges=(((f32([2, 0, 0]),), f32([2 / np.sqrt(1 + 0.7 * 4), 0, 0])), ((f32([]),), np.zeros((1, 0)))),
    ),
    Case(partial(classic_dropout, rate=0.4), inputs(key, normal(4, 5)), vmappable=False),
    Case(
        partial(classic_dropout_inference, rate=0.25),
        inputs(normal(4, 5)),
        (0,),
        oracle=lambda x: 0.75 * x,
    ),
    Case(partial(spatial_dropout, rate=0.4), inputs(key, IMAGE), vmappable=False),
    Case(partial(stochastic_depth, rate=0.4), inputs(key, IMAGE), vmappable=False),
    Case(partial(dropout_masks, n=3), inputs(), result=None, vmappable=False),
    Case(
        partial(dropout_expectation, rate=0.25),
        inputs(normal(5)),
        (0,),
        oracle=lambda x: 0.75 * x,
        edges=(((f32(),), f32()),),
        errors=(((np.zeros(17, np.float32),), r"^n must lie in \[0, 16\] to count all 2\^n masks, got 17$"),),
    ),
    Case(
        partial(dropout_expectation, rate=0.25, output=lambda d: jnp.square(jnp.sum(d))),
        inputs(normal(5)),
        label="square",
        oracle=lambda x: (0.75 * x.sum()) ** 2 + 0.1875 * np.square(x).sum(),
    ),
    Case(
        partial(drop_connect, rate=0.4),
        inputs(key, normal(4, 5), normal(5, 3), normal(3)),
        (1, 2, 3),
        vmappable=False,
    ),
    Case(partial(gaussian_noise, deviation=0.5), inputs(key, normal(4, 5)), vmappable=False),
    Case(partial(gaussian_dropout, rate=0.4), inputs(key, normal(4, 5)), vmappable=False),
]
