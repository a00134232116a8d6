"""Eager calls as one program: the same results and errors, few compilations, and nothing changed under a trace."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.fused import fused

X = jnp.arange(4.0)


def counted(calls: list[float]):
    @fused
    def scaled(x, y=None, *, rate=1.0, mode: str | None = None):
        calls.append(rate)
        if isinstance(rate, float) and rate < 0:
            raise ValueError(f"rate must not be negative, got {rate}")
        return rate * x if y is None else rate * x + y

    return scaled


def test_eager_calls_of_one_kind_run_the_function_once():
    calls: list[float] = []
    scaled = counted(calls)
    for _ in range(3):
        np.testing.assert_array_equal(scaled(X, rate=2.0), 2 * X)
        np.testing.assert_array_equal(scaled(X, y=X), 2 * X)
        np.testing.assert_array_equal(scaled(x=np.asarray(X), mode="a"), X)
    assert len(calls) == 3


def test_an_option_that_changes_at_every_step_stops_compiling():
    calls: list[float] = []
    scaled = counted(calls)
    for step in range(40):
        np.testing.assert_allclose(scaled(X, rate=float(step)), step * X)
    for step in range(40):
        scaled(X, rate=float(step))
    assert len(calls) == 16 + 24 + 24


def test_an_error_is_that_of_the_function_without_notes_of_jax():
    scaled = counted([])
    for _ in range(20):
        with pytest.raises(ValueError, match=f"^{re.escape('rate must not be negative, got -1.0')}$") as caught:
            scaled(X, rate=-1.0)
    assert not getattr(caught.value, "__notes__", [])
    np.testing.assert_array_equal(scaled(X, rate=2.0), 2 * X)


def test_under_a_trace_it_is_the_function_itself():
    calls: list[float] = []
    scaled = counted(calls)
    assert "jit" not in str(jax.make_jaxpr(scaled)(X))
    np.testing.assert_array_equal(jax.grad(lambda x: scaled(x, rate=3.0).sum())(X), [3.0] * 4)
    np.testing.assert_array_equal(jax.vmap(partial(scaled, rate=2.0))(X), 2 * X)
    np.testing.assert_array_equal(scaled(X, rate=jnp.float32(2.0)), 2 * X)
    assert len(calls) == 4


def test_tuples_of_numbers_are_options() -> None:
    calls = []

    @fused
    def folded(x, shape, *, axes=(0,)):
        calls.append(shape)
        return jnp.sum(x.reshape(shape), axis=axes)

    for _ in range(2):
        np.testing.assert_array_equal(folded(X, (2, 2)), [2, 4])
        np.testing.assert_array_equal(folded(X, (2, 2), axes=(0, 1)), 6)
    assert len(calls) == 2
    np.testing.assert_array_equal(folded(X, (np.int32(2), 2)), [2, 4])
    assert len(calls) == 3


def test_other_arguments_call_the_function_itself():
    @fused
    def apply(tree, function):
        return function(tree["x"])

    np.testing.assert_array_equal(apply({"x": X}, jnp.square), X**2)
