"""Softmax and its logarithm in the form of a CPU and in that of the other platforms, beside SciPy and PyTorch."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import torch
from jax.sharding import AxisType, PartitionSpec

from fjdl import numerics
from tests.support import float64

INF, NAN = np.inf, np.nan
LOWEST = float(np.finfo(np.float32).min)
THIRD, LOG2 = 1 / 3, float(np.log(2))
PLACES = [
    ([0, 0, 0], [THIRD, THIRD, THIRD]), ([-INF, 1, -INF], [0, 1, 0]), ([1, -INF, 1], [0.5, 0, 0.5]),
    ([-INF, -INF, -INF], [0, 0, 0]), ([INF, 1, -INF], [1, 0, 0]), ([INF, 3e38, INF], [0.5, 0, 0.5]),
    ([INF, INF, INF], [THIRD, THIRD, THIRD]), ([NAN, 1, 2], [NAN, NAN, NAN]), ([NAN, -INF, 1], [NAN, NAN, NAN]),
    ([NAN, INF, 0], [NAN, NAN, NAN]), ([NAN, -INF, -INF], [NAN, NAN, NAN]), ([3e38, -3e38, 0], [1, 0, 0]),
    ([LOWEST, -INF, -INF], [1, 0, 0]), ([LOWEST, LOWEST, -INF], [0.5, 0.5, 0]), ([LOWEST, -LOWEST, 0], [0, 1, 0]),
    ([1e4, 1e4, -1e4], [0.5, 0.5, 0]),
]  # fmt: skip
EDGES, SHARES = (np.asarray(part, np.float32) for part in zip(*PLACES, strict=True))
BOTH = [numerics.softmax, numerics.log_softmax]


@pytest.fixture(params=["cpu", "elsewhere"])
def form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The form that calls take."""
    choose(monkeypatch, request.param)
    return request.param


def choose(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setattr(numerics, "by_platform", lambda x, **forms: forms[form](x))


def values_and_gradient(function: Callable[..., jax.Array], axis: int | tuple[int, ...]) -> Callable[..., tuple]:
    @jax.jit
    def both(x: jax.Array, cotangent: jax.Array) -> tuple:
        y, pullback = jax.vjp(lambda x: function(x, axis), x)
        return y, pullback(cotangent)[0]

    return both


@pytest.mark.usefixtures("form")
def test_edges():
    y = np.asarray(numerics.softmax(jnp.asarray(EDGES), -1))
    np.testing.assert_allclose(y, SHARES, rtol=1e-6, atol=0)
    with np.errstate(divide="ignore"):
        logarithms = np.log(SHARES)
    for row, values in ((11, [0, -INF, -3e38]), (14, [-INF, 0, LOWEST]), (15, [-LOG2, -LOG2, -2e4 - LOG2])):
        logarithms[row] = values
    np.testing.assert_allclose(numerics.log_softmax(jnp.asarray(EDGES), -1), logarithms, rtol=1e-6, atol=0)


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("axis", [-1, 0, (0, 2)])
@pytest.mark.parametrize(
    ("function", "oracle"),
    [(numerics.softmax, scipy.special.softmax), (numerics.log_softmax, scipy.special.log_softmax)],
)
def test_values_and_gradients_are_those_of_scipy_and_torch(function, oracle, axis, rng):
    x, cotangent = rng.standard_normal((2, 3, 2, 4)) * 5
    with float64():
        y, gradient = values_and_gradient(function, axis)(jnp.asarray(x), jnp.asarray(cotangent))
    np.testing.assert_allclose(y, oracle(x, axis=axis), rtol=1e-12)
    leaf = torch.tensor(x, requires_grad=True)
    flat = leaf.permute(1, 0, 2).reshape(2, -1) if axis == (0, 2) else leaf
    out = getattr(torch, function.__name__)(flat, 1 if axis == (0, 2) else axis)
    out = out.reshape(2, 3, 4).permute(1, 0, 2) if axis == (0, 2) else out
    out.backward(torch.tensor(cotangent))
    np.testing.assert_allclose(gradient, leaf.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("function", BOTH)
def test_both_forms_have_the_same_values_and_gradients_at_edges_and_in_long_rows(function, rng, monkeypatch):
    long = rng.standard_normal((4, 1000)).astype(np.float32) * 20
    long[0, ::3], long[1, 7], long[2] = -INF, INF, -INF
    found = {}
    for form in ("cpu", "elsewhere"):
        choose(monkeypatch, form)
        program = values_and_gradient(function, -1)
        found[form] = [program(jnp.asarray(x), jnp.ones_like(x).at[..., 0].set(2.0)) for x in (EDGES, long)]
    for expected, got in zip(*(jax.tree.leaves(found[form]) for form in ("cpu", "elsewhere")), strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-6, atol=2e-6)


@pytest.mark.usefixtures("form")
@pytest.mark.parametrize("function", BOTH)
def test_rows_apart_give_what_they_give_together(function):
    x = jnp.asarray(EDGES)
    mapped = jax.vmap(partial(function, axis=0))(x)
    np.testing.assert_array_equal(mapped, function(x, -1))
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    spec = PartitionSpec("data")
    split = jax.jit(jax.shard_map(lambda x: function(x, -1), mesh=mesh, in_specs=spec, out_specs=spec))(x)
    np.testing.assert_allclose(split, function(x, -1), rtol=1e-6)


def test_a_tpu_gets_no_selection_of_rows():
    """The only numbers of rows are the largest entries and the sums, so that one kernel computes softmax."""
    text = jax.jit(lambda x: numerics.softmax(x, -1)).trace(jnp.ones((4, 5))).lower(lowering_platforms=("tpu",))
    rows = [line for line in text.as_text().splitlines() if "tensor<4x1xf32>" in line.split("->")[-1] and " = " in line]
    assert rows
    assert all("broadcast_in_dim" in line for line in rows), rows
