"""Rows of activations."""

from functools import partial

import jax
import numpy as np
import optax
import scipy.special
import torch.nn.functional as T

from fjdl.functional import activations, gates, rectifiers
from tests.cases.case import Case, f32, inputs, normal, of_torch
from tests.support import float64

INF, NAN = np.inf, np.nan
X = inputs(normal(4, 5))
LIMITS = f32(-INF, INF, NAN)


def row(function, oracle, limits):
    """A function of single numbers, with its values at -inf and inf; NaN stays NaN."""
    edges = (((LIMITS[:2],), f32(*limits)), ((LIMITS[2:],), f32(NAN)))
    return Case(function, X, (0,), oracle=of_torch(oracle), edges=edges)


def simplex_of_optax(x):
    with float64():
        return np.asarray(jax.vmap(optax.projections.projection_simplex)(x))


CASES: list[Case] = [
    row(activations.identity, lambda x: x, (-INF, INF)),
    row(activations.relu, T.relu, (0, INF)),
    row(activations.tanh, lambda x: x.tanh(), (-1, 1)),
    row(activations.sigmoid, lambda x: x.sigmoid(), (0, 1)),
    row(activations.log_sigmoid, T.logsigmoid, (-INF, 0)),
    row(activations.softplus, T.softplus, (0, INF)),
    row(activations.softsign, T.softsign, (-1, 1)),
    row(activations.tanhshrink, T.tanhshrink, (-INF, INF)),
    row(activations.erf, lambda x: x.erf(), (-1, 1)),
    Case(activations.softmax, X, (0,), oracle=of_torch(lambda x: x.softmax(-1))),
    Case(activations.log_softmax, X, (0,), oracle=of_torch(lambda x: x.log_softmax(-1))),
    Case(partial(activations.softmax, axis=0), X, (0,), oracle=of_torch(lambda x: x.softmax(0)), label="axis0"),
    Case(
        partial(activations.softmax, axis=(0, -1)), inputs(normal(2, 3, 4)), (0,), label="axes",
        oracle=lambda x: scipy.special.softmax(x, axis=(0, 2)),
    ),
    Case(
        partial(activations.log_softmax, axis=(1, 2)), inputs(normal(2, 3, 4)), (0,), label="axes",
        oracle=lambda x: scipy.special.log_softmax(x, axis=(1, 2)),
    ),
    Case(
        activations.sparsemax, X, (0,), oracle=simplex_of_optax,
        edges=(
            ((f32([2, 0.5, 1.5], [0, 0, 0], [9, -3, 8]),), f32([0.75, 0, 0.25], [1 / 3] * 3, [1, 0, 0])),
            ((f32([-INF, -INF], [INF, 3], [INF, INF], [-INF, 3]),), f32([0, 0], [1, 0], [0.5, 0.5], [0, 1])),
            ((f32([0, NAN], [0, 0]),), f32([NAN, NAN], [0.5, 0.5])),
        ),
    ),
    row(rectifiers.leaky_relu, T.leaky_relu, (-INF, INF)),
    Case(
        rectifiers.prelu, inputs(normal(4, 5), normal(5)), (0, 1), oracle=of_torch(lambda x, a: T.prelu(x, a)),
        edges=(
            ((f32(-INF, INF, -INF), f32(0.5, 0.5, 0)), f32(-INF, INF, 0)),
            ((f32(NAN), f32(0.5)), f32(NAN)),
        ),
        errors=(((np.zeros((4, 5), np.float32), f32(1, 1, 1)), r"one for each channel of x, of shape \(4, 5\)"),),
    ),
    row(rectifiers.elu, T.elu, (-1, INF)),
    row(rectifiers.selu, T.selu, (-1.0507009873554805 * 1.6732632423543772, INF)),
    row(partial(rectifiers.celu, alpha=0.3), lambda x: T.celu(x, 0.3), (-0.3, INF)),
    row(rectifiers.relu6, T.relu6, (0, 6)),
    row(rectifiers.hard_tanh, T.hardtanh, (-1, 1)),
    row(rectifiers.hard_sigmoid, T.hardsigmoid, (0, 1)),
    row(rectifiers.hard_swish, T.hardswish, (0, INF)),
    row(rectifiers.softshrink, T.softshrink, (-INF, INF)),
    row(rectifiers.hardshrink, T.hardshrink, (-INF, INF)),
    Case(
        rectifiers.maxout, inputs(normal(4, 5), normal(5, 3, 4), normal(3, 4)), (0, 1, 2),
        oracle=lambda x, w, b: (np.einsum("ni,iok->nok", x, w) + b).max(-1),
        edges=(((f32(2), f32([[1, -1]]), f32([0, 0])), f32(2)), ((f32(NAN), f32([[1, 0]]), f32([0, 5])), f32(NAN))),
        errors=(((f32([1]), np.zeros((1, 2, 0), np.float32)), "kernel must hold at least one affine map"),),
    ),
    row(gates.gelu, T.gelu, (0, INF)),
    row(gates.gelu_tanh, lambda x: T.gelu(x, approximate="tanh"), (0, INF)),
    row(gates.silu, T.silu, (0, INF)),
    row(gates.mish, T.mish, (0, INF)),
    Case(
        gates.swish, inputs(normal(4, 5), normal(5)), (0, 1), oracle=of_torch(lambda x, b: x * (b * x).sigmoid()),
        edges=(
            ((f32(-INF, INF, -INF, INF, -INF, INF), f32(1, 1, -1, -1, 0, 0)), f32(0, INF, -INF, 0, -INF, INF)),
            ((f32(NAN), f32(1)), f32(NAN)),
        ),
        errors=(((np.zeros((4, 5), np.float32), f32(1, 1)), r"one for each channel of x, of shape \(4, 5\)"),),
    ),
    Case(
        gates.glu, inputs(normal(3, 6)), (0,), oracle=of_torch(T.glu), edges=(((f32(3, -2, INF, -INF),), f32(3, 0)),),
        errors=(
            ((f32(1, 2, 3),), r"x must have an axis -1 of even length, got shape \(3,\)"),
            ((np.array(1, np.float32),), r"x must have an axis -1 of even length, got shape \(\)"),
        ),
    ),
]  # fmt: skip
