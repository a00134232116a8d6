"""Laws that every row of `tests/cases` obeys.

One worker takes all laws of a module's rows, so that it compiles each function once in each dtype, gradients and all.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.cases import CASES, Case
from tests.laws.rows import (
    BY_NAME,
    DERIVED,
    FIRST,
    OURS,
    build,
    cases,
    double,
    gradients,
    holds,
    integers,
    jitted,
    on,
    program,
    to,
    traced,
    transformed,
)
from tests.support import assert_trees_close, float64

# Relative rounding of each dtype, times a reduction of a few terms (reliability: c · u · √n · scale with c = 8).
BOUND = {"float64": 1e-9, "float32": 2e-5, "bfloat16": 3e-2}

every_case = cases(*CASES)
smooth_cases = cases(*[c for c in CASES if c.differentiable])
float_cases = cases(*[c for c in CASES if c.result is not None])


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(CASES)


@every_case
def test_a_second_call_does_not_compile_again(case: Case) -> None:
    """A second trace would make a second program, gradients and all."""
    first, second = (program(case.name).trace(*build(case, seed=seed)).jaxpr for seed in (0, 1))
    assert first is second


@pytest.mark.slow  # an eager call is very many programs; by day the examples of all functions show some
@every_case
def test_jit_equals_eager(case: Case) -> None:
    args = build(case)
    assert_trees_close(jitted(case.name)(*args), case.function(*args), rtol=2e-5, atol=1e-6)


@every_case
def test_inputs_are_not_changed_and_numpy_arrays_are_taken(case: Case) -> None:
    args = case.inputs(np.random.default_rng(0))
    before = [np.array(x) for x in jax.tree.leaves(args) if isinstance(x, np.ndarray)]
    jitted(case.name)(*args)
    after = [x for x in jax.tree.leaves(args) if isinstance(x, np.ndarray)]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


vmappable_cases = transformed(*[c for c in CASES if c.vmappable])


@vmappable_cases
def test_vmap_maps_every_result(case: Case) -> None:
    """By day where primitives have batching rules of ours; JAX maps what all others are made of, the row as a whole."""
    if holds(case, OURS):
        equals_the_loop(case)


@pytest.mark.slow
@vmappable_cases
def test_vmap_equals_loop(case: Case) -> None:
    equals_the_loop(case)


def equals_the_loop(case: Case) -> None:
    rows = [build(case, seed=seed) for seed in range(2)]
    mapped = jax.jit(jax.vmap(case.function))(*jax.tree.map(stacked, *rows))
    expected = jax.tree.map(stacked, *[jitted(case.name)(*row) for row in rows])
    assert jax.tree.map(form, mapped) == jax.tree.map(form, expected)
    assert_trees_close(mapped, expected, rtol=2e-5, atol=2e-6)


def form(leaf: Any) -> Any:
    return leaf.shape, leaf.dtype


def stacked(*leaves: Any) -> Any:
    return jnp.stack(leaves) if jnp.issubdtype(leaves[0].dtype, jax.dtypes.prng_key) else np.stack(leaves)


def in_bfloat16(case: Case) -> Any:
    """The jitted function, in one program with the gradients where these are looked at by day."""
    return jitted(case.name) if case.name in FIRST and holds(case, DERIVED) else traced(case.name)


@float_cases
def test_bfloat16_result_has_documented_dtype_and_is_near_float32(case: Case) -> None:
    args = build(case, dtype=jnp.bfloat16)
    expected = jnp.bfloat16 if case.result == "same" else jnp.dtype(case.result)
    actual = in_bfloat16(case)(*args)
    assert {leaf.dtype for leaf in jax.tree.leaves(actual)} == {jnp.dtype(expected)}
    wide = jax.tree.map(lambda x: np.asarray(x, np.float32) if x.dtype == jnp.bfloat16 else x, args)
    assert_trees_close(actual, jitted(case.name)(*wide), rtol=2e-2, atol=2e-2)


@every_case
def test_strict_dtype_promotion(case: Case) -> None:
    program(case.name).trace(*build(case))


@cases(*[c for c in CASES if integers(c)])
def test_integers_that_jax_would_cut_off_are_refused(case: Case) -> None:
    """Each array of integers in turn holds a number beyond 32 bits that equals the ordinary one in its low bits."""
    args = case.inputs(np.random.default_rng(0))
    for position in integers(case):
        wide = args[position].astype(np.int64)
        wide.flat[0] += 2**32
        with pytest.raises(ValueError, match=rf"must fit u?int32, got {wide.flat[0]}; set jax_enable_x64"):
            case.function(*args[:position], wide, *args[position + 1 :])


@transformed(*[c for c in CASES if c.differentiable])
def test_gradients_by_stated_rules_equal_finite_differences(case: Case) -> None:
    """By day those of rows with derivatives that a rule states, ours or JAX's; JAX derives the others itself."""
    if holds(case, DERIVED):
        equal_finite_differences(case)


@pytest.mark.slow
@smooth_cases
def test_all_gradients_equal_finite_differences(case: Case) -> None:
    equal_finite_differences(case)


def equal_finite_differences(case: Case) -> None:
    """Along one random direction, of one random combination of everything that comes out in double precision."""
    with float64():
        at, step = double(case, build(case, dtype=jnp.float64)), 1e-6
        difference = (at(step)[1] - at(-step)[1]) / (2 * step)
        np.testing.assert_allclose(at(0.0)[2], difference, rtol=1e-5, atol=1e-6)


@cases(*[c for c in CASES if c.oracle is not None])
@pytest.mark.parametrize("dtype", [pytest.param("float64", marks=pytest.mark.slow), "float32", "bfloat16"])
def test_equals_the_oracle(case: Case, dtype: str) -> None:
    if dtype == "bfloat16" and case.result is None:
        return
    with jax.enable_x64(dtype == "float64"):
        args = build(case, seed=2, dtype=dtype)
        if dtype == "float64" and case.differentiable:
            actual = double(case, args)(0.0)[0]
        else:
            actual = (in_bfloat16(case) if dtype == "bfloat16" else jitted(case.name))(*args)
    exact = jax.tree.map(lambda x: np.asarray(x, np.float64) if jnp.issubdtype(x.dtype, jnp.floating) else x, args)
    bound = BOUND[dtype] if dtype != "bfloat16" or case.result == "same" else 2 * BOUND["float32"]
    close = jax.tree.leaves(case.oracle(*exact))
    for a, b in zip(jax.tree.leaves(actual), close, strict=True):
        np.testing.assert_allclose(np.asarray(a, np.float64), b, rtol=bound, atol=bound)


@transformed(*[c for c in CASES if c.differentiable])
def test_gradients_by_stated_rules_are_finite_in_bfloat16(case: Case) -> None:
    """By day those of rows with derivatives that a rule states; of the others float32 has the range of bfloat16."""
    if holds(case, DERIVED):
        are_finite_in_bfloat16(case)


@pytest.mark.slow
@smooth_cases
def test_all_gradients_are_finite_in_bfloat16(case: Case) -> None:
    are_finite_in_bfloat16(case)


def are_finite_in_bfloat16(case: Case) -> None:
    args = build(case, dtype=jnp.bfloat16)
    for leaf in gradients(case)(*args):
        assert np.all(np.isfinite(np.asarray(leaf, np.float32)))


@cases(*[c for c in CASES if c.differentiable and c.domain])
def test_nothing_is_nan_in_the_domain(case: Case) -> None:
    args, function, gradient = build(case), jitted(case.name), gradients(case)
    low, high = case.domain
    for fill in (low, high, min(max(0.0, low), high), None):
        for extreme in _filled(case, args, low, high, fill):
            for leaf in [*jax.tree.leaves(function(*extreme)), *gradient(*extreme)]:
                assert not np.any(np.isnan(leaf)), f"NaN for arguments filled with {fill or 'both ends'}"


def _filled(case: Case, args: tuple[Any, ...], low: float, high: float, fill: float | None) -> list[tuple[Any, ...]]:
    """The arguments with every smooth one constant, and with each one alone; None draws ends of the domain."""
    rng = np.random.default_rng(0)

    def extreme(x: Any) -> Any:
        values = np.full(x.shape, fill) if fill is not None else rng.choice([low, high], x.shape)
        return jnp.asarray(values.astype(x.dtype))

    sets = (
        [case.differentiable]
        if len(case.differentiable) == 1
        else [case.differentiable, *[(i,) for i in case.differentiable]]
    )
    return [tuple(jax.tree.map(extreme, arg) if i in chosen else arg for i, arg in enumerate(args)) for chosen in sets]


@pytest.mark.parametrize(
    ("case", "args", "value"),
    [on(c, args, value, name=f"-{i}") for c in CASES for i, (args, value) in enumerate(c.edges)],
)
def test_edges_have_their_documented_value_and_no_nan_gradient(case: Case, args: tuple[Any, ...], value: Any) -> None:
    actual = jitted(case.name)(*to(jnp.float32, args))
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(value), strict=True):
        np.testing.assert_allclose(np.asarray(a, np.float64), b, rtol=1e-5, atol=1e-6)
    if case.differentiable and not any(np.any(np.isnan(leaf)) for leaf in jax.tree.leaves(value)):
        for leaf in gradients(case)(*to(jnp.float32, args)):
            assert not np.any(np.isnan(leaf))


@pytest.mark.parametrize(
    ("case", "args", "rule"),
    [on(c, args, rule, name=f"-{i}") for c in CASES for i, (args, rule) in enumerate(c.errors)],
)
def test_errors_are_one_sentence_that_says_what_is_wrong(case: Case, args: tuple[Any, ...], rule: str) -> None:
    with pytest.raises(ValueError, match=rule) as caught:
        case.function(*args)
    assert "\n" not in str(caught.value)
