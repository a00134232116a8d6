"""The rows of `tests/cases` as parameters of laws: which run by day, their arguments, and their compiled programs."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.cases import CASES, Case
from tests.support import primitives

OURS = ("fjdl_", "custom_vmap")  # the primitives of the library, and JAX's for rules of its own
DERIVED = (*OURS, "custom_jvp_call", "custom_vjp_call")  # what has derivatives that a rule states
BRANCHES = ("cond", "scan", "while")  # loops, and choices, by platform too

BY_NAME = {case.name: case for case in CASES}


def on(case: Case, *values: Any, name: str = "", marks: tuple[pytest.MarkDecorator, ...] = ()) -> Any:
    """A parameter set, by whose name `tests/running/distribution.py` knows the row."""
    return pytest.param(case, *values, id=f"{case.name}{name}", marks=marks)


def cases(*selected: Case) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [on(case) for case in selected])


def transformed(*selected: Case) -> pytest.MarkDecorator:
    """For laws of transformations: every row at night, and by day the first row of each public function."""
    return pytest.mark.parametrize(
        "case", [on(case, marks=() if case.name in FIRST else (pytest.mark.slow,)) for case in selected]
    )


def first_rows() -> Iterator[str]:
    """The names of all rows but the second and later ones of a public function with other options.

    Each metric that `measure` calls is a function of its own, and so is what the tables themselves define.
    """
    seen: set[str] = set()
    for case in CASES:
        function = case.name.removesuffix(f"-{case.label}")
        if function not in seen or function == "metrics.base.measure" or "<" in function or composed(case):
            yield case.name
        seen.add(function)


def composed(case: Case) -> bool:
    """Whether the row calls several functions in one of its own."""
    return case.name.startswith("tests.")


FIRST = frozenset(first_rows())


def arguments(case: Case, seed: int = 0) -> tuple[Any, ...]:
    """Those of the row, arrays of NumPy among them; no device is asked."""
    return case.inputs(np.random.default_rng(seed))


def takes_arrays(case: Case) -> bool:
    return any(isinstance(leaf, np.ndarray | np.generic | jax.Array) for leaf in jax.tree.leaves(arguments(case)))


def build(case: Case, seed: int = 0, dtype: Any = jnp.float32) -> tuple[Any, ...]:
    return to(dtype, arguments(case, seed))


def to(dtype: Any, arrays: Any) -> Any:
    """The arrays on the device, floats in `dtype`; keys and everything that is no array stay."""
    return jax.tree.map(lambda x: jnp.asarray(x.astype(dtype) if _is_float(x) else x) if _is_array(x) else x, arrays)


def _is_array(x: Any) -> bool:
    return isinstance(x, np.ndarray | np.generic)


def _is_float(x: Any) -> bool:
    return _is_array(x) and np.issubdtype(x.dtype, np.floating)


def integers(case: Case) -> list[int]:
    """The positions of arrays of integers among the arguments."""
    args = arguments(case)
    return [i for i, arg in enumerate(args) if isinstance(arg, np.ndarray) and arg.dtype.kind in "iu" and arg.size]


def jitted(name: str) -> Any:
    """The jitted function of a row, as `gradients` computes it beside the slopes."""
    return lambda *args: program(name)(*args)[0]


def gradients(case: Case) -> Any:
    """The jitted gradient of the sum of the function's leaves."""
    return lambda *args: jax.tree.leaves(program(case.name)(*args)[1])


@cache
def traced(name: str) -> Any:
    """The row's function, traced once for gradients, for vmap and for `holds`.

    Dtypes promote strictly there, but for double precision, where integers of 32 and of 64 bits meet.
    """

    def function(*args: Any) -> Any:
        with jax.numpy_dtype_promotion("standard" if jax.config.jax_enable_x64 else "strict"):
            return BY_NAME[name].function(*args)

    return jax.jit(function)


def holds(case: Case, names: tuple[str, ...]) -> bool:
    """Whether one of these primitives is in the row's function."""
    return any(name.startswith(names) for name in primitives(traced(case.name).trace(*build(case)).jaxpr))


@cache
def program(name: str) -> Any:
    """One program for a row's result and, where it has smooth arguments, the gradients of the sum of its leaves."""
    case = BY_NAME[name]

    def total(*args: Any) -> Any:
        result = traced(name)(*args)
        return sum(jnp.sum(leaf.astype(jnp.float32)) for leaf in jax.tree.leaves(result)), result

    def both(*args: Any) -> Any:
        if not case.differentiable:
            return traced(name)(*args), ()
        return jax.grad(total, argnums=case.differentiable, has_aux=True)(*args)[::-1]

    return jax.jit(both)


@cache
def in_double_precision(name: str) -> Any:
    """One program for the result at `args`, and the value and the slope of one combination of it along a direction."""
    case = BY_NAME[name]

    def along(distance: Any, args: Any, direction: Any) -> Any:
        moved = jax.tree.map(lambda x, d: x + distance * d, [args[i] for i in case.differentiable], direction)
        filled = dict(zip(case.differentiable, moved, strict=True))
        result = case.function(*[filled.get(i, arg) for i, arg in enumerate(args)])
        rng, leaves = np.random.default_rng(2), [x for x in jax.tree.leaves(result) if x.dtype == jnp.float64]
        return sum(jnp.sum(rng.standard_normal(leaf.shape) * leaf) for leaf in leaves), result

    def both(distance: Any, args: Any, direction: Any) -> Any:
        (value, result), slope = jax.value_and_grad(along, has_aux=True)(distance, args, direction)
        return result, value, slope

    return jax.jit(both)


def double(case: Case, args: tuple[Any, ...]) -> Any:
    """The function of a distance that `in_double_precision` computes for these arguments."""
    rng = np.random.default_rng(1)
    direction = jax.tree.map(lambda x: rng.standard_normal(x.shape), [args[i] for i in case.differentiable])
    return lambda distance: in_double_precision(case.name)(distance, args, direction)
