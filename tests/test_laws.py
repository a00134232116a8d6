"""Laws that every row of `cases.py` obeys."""

import warnings
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.cases import CASES, Case
from tests.support import assert_trees_close, count_traces, float64

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
smooth_cases = pytest.mark.parametrize("case", [c for c in CASES if c.differentiable], ids=lambda case: case.name)
float_cases = pytest.mark.parametrize("case", [c for c in CASES if c.result is not None], ids=lambda case: case.name)


def build(case: Case, seed: int = 0, dtype: Any = jnp.float32) -> tuple[Any, ...]:
    arrays = case.inputs(np.random.default_rng(seed))
    return jax.tree.map(lambda x: jnp.asarray(x, dtype) if _is_float(x) else jnp.asarray(x), arrays)


def _is_float(x: Any) -> bool:
    return isinstance(x, np.ndarray) and np.issubdtype(x.dtype, np.floating)


@every_case
def test_jit_equals_eager(case: Case) -> None:
    args = build(case)
    assert_trees_close(jax.jit(case.function)(*args), case.function(*args), rtol=2e-5, atol=1e-6)


@every_case
def test_second_call_does_not_compile_again(case: Case) -> None:
    function, traces = count_traces(case.function)
    function(*build(case, seed=0))
    function(*build(case, seed=1))
    assert len(traces) == 1


@every_case
def test_inputs_are_not_changed(case: Case) -> None:
    args = case.inputs(np.random.default_rng(0))
    before = [np.array(x) for x in jax.tree.leaves(args) if isinstance(x, np.ndarray)]
    case.function(*args)
    after = [x for x in jax.tree.leaves(args) if isinstance(x, np.ndarray)]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("case", [c for c in CASES if c.vmappable], ids=lambda case: case.name)
def test_vmap_equals_loop(case: Case) -> None:
    rows = [build(case, seed=seed) for seed in range(3)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *rows)
    looped = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[case.function(*row) for row in rows])
    assert_trees_close(jax.vmap(case.function)(*stacked), looped, rtol=2e-5, atol=2e-6)


@every_case
def test_strict_dtype_promotion(case: Case) -> None:
    args = build(case)
    with jax.numpy_dtype_promotion("strict"):
        case.function(*args)


@float_cases
def test_bfloat16_result_has_documented_dtype_and_is_near_float32(case: Case) -> None:
    args = build(case, dtype=jnp.bfloat16)
    expected = jnp.bfloat16 if case.result == "same" else jnp.dtype(case.result)
    with jax.numpy_dtype_promotion("strict"):
        actual = case.function(*args)
    assert {leaf.dtype for leaf in jax.tree.leaves(actual)} == {jnp.dtype(expected)}
    wide = jax.tree.map(lambda x: x.astype(jnp.float32) if x.dtype == jnp.bfloat16 else x, args)
    assert_trees_close(actual, case.function(*wide), rtol=2e-2, atol=2e-2)


@smooth_cases
def test_gradients_equal_finite_differences(case: Case) -> None:
    from jax.test_util import check_grads

    with float64(), warnings.catch_warnings():
        args = build(case, dtype=jnp.float64)
        chosen = [args[i] for i in case.differentiable]

        def function(*smooth: Any) -> Any:
            filled = dict(zip(case.differentiable, smooth, strict=True))
            return case.function(*[filled.get(i, arg) for i, arg in enumerate(args)])

        check_grads(partial(function), chosen, order=1, modes=["rev"], rtol=1e-5, atol=1e-6)


@smooth_cases
def test_gradients_are_finite_in_bfloat16(case: Case) -> None:
    args = build(case, dtype=jnp.bfloat16)

    def total(*args: Any) -> Any:
        return sum(jnp.sum(leaf.astype(jnp.float32)) for leaf in jax.tree.leaves(case.function(*args)))

    for leaf in jax.tree.leaves(jax.grad(total, argnums=case.differentiable)(*args)):
        assert bool(jnp.all(jnp.isfinite(leaf)))
