"""Rows of fjdl.autodiff."""

from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import Array

from fjdl import autodiff
from fjdl.autodiff import backprop, two_layer
from fjdl.autodiff.dual import gradient as dual_gradient, tanh, total
from fjdl.autodiff.two_layer import TwoLayer
from tests.cases.case import Case, inputs, normal, uniform


def _bowl(x: Array) -> Array:
    return jnp.sum(jnp.cosh(x))


def _params(rng: np.random.Generator) -> TwoLayer:
    return TwoLayer(*(normal(*shape)(rng) for shape in ((3, 4), (4,), (4, 1), (1,))))


CASES: list[Case] = [
    Case(partial(autodiff.forward_difference, _bowl, step=0.5), inputs(normal(2, 3)), result=None),
    Case(partial(autodiff.central_difference, _bowl, step=0.5), inputs(normal(2, 3)), result=None),
    Case(partial(autodiff.directional_difference, _bowl, step=0.5), inputs(normal(2, 3), normal(2, 3)), result=None),
    Case(
        autodiff.relative_error,
        inputs(normal(4), normal(4)),
        (0, 1),
        oracle=lambda a, b: np.linalg.norm(a - b) / (np.linalg.norm(a) + np.linalg.norm(b)),
    ),
    Case(partial(autodiff.newton_step, _bowl), inputs(normal(3)), result=None),
    Case(partial(dual_gradient, lambda x: total(tanh(x) * x)), inputs(normal(3)), result=None),
    Case(two_layer.predict, inputs(_params, normal(5, 3)), (0, 1)),
    Case(two_layer.cost, inputs(_params, normal(5, 3), uniform(5)), (0, 1, 2)),
    Case(two_layer.gradient, inputs(_params, normal(5, 3), uniform(5)), (0, 1, 2)),
    Case(
        partial(backprop.output_error, activation=backprop.tanh),
        inputs(normal(4, 2), normal(4, 2)),
        (0, 1),
        oracle=lambda g, z: g * (1 - np.tanh(z) ** 2),
    ),
    Case(
        partial(backprop.hidden_error, activation=backprop.sigmoid),
        inputs(normal(4, 2), normal(3, 2), normal(4, 3)),
        (0, 1, 2),
        oracle=lambda e, w, z: e @ w.T / (1 + np.exp(-z)) / (1 + np.exp(z)),
    ),
    Case(backprop.bias_gradient, inputs(normal(4, 2)), (0,), oracle=lambda e: e.sum(axis=0)),
    Case(backprop.weight_gradient, inputs(normal(4, 3), normal(4, 2)), (0, 1), oracle=lambda a, e: a.T @ e),
]
