"""Comparisons and counters that tests share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np
import pytest

from fjdl.names import ALIASES

ROOT = Path(__file__).resolve().parent.parent

TOLERANCE = {"float64": 1e-12, "float32": 2e-6, "bfloat16": 1.6e-2, "float16": 2e-3}


def own_names(room: ModuleType) -> list[str]:
    """The public names of a room without second names of the same things."""
    return [name for name in room.__all__ if name not in ALIASES.get(room.__name__, {})]


def assert_trees_close(actual: Any, expected: Any, *, rtol: float = 1e-6, atol: float = 1e-6) -> None:
    """Fails with the leaf's path where two trees differ in structure or beyond the tolerance."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for (path, a), b in zip(jax.tree_util.tree_leaves_with_path(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(
            np.asarray(a, np.float64),
            np.asarray(b, np.float64),
            rtol=rtol,
            atol=atol,
            err_msg=jax.tree_util.keystr(path),
        )


@contextmanager
def float64() -> Iterator[None]:
    """Double precision inside the block, for oracles and finite differences."""
    with jax.enable_x64(True):
        yield


def count_traces(function: Callable[..., Any]) -> tuple[Callable[..., Any], list[int]]:
    """The jitted function and a list that grows by one entry at each trace."""
    traces: list[int] = []

    def counted(*args: Any, **kwargs: Any) -> Any:
        traces.append(1)
        return function(*args, **kwargs)

    return jax.jit(counted), traces


def primitives(jaxpr: Any) -> set[str]:
    """The names of all operations of a program, those in loops and branches too."""
    return {equation.primitive.name for equation in equations(jaxpr)}


def equations(jaxpr: Any) -> Iterator[Any]:
    """All operations of a program, those in loops and branches too."""
    for equation in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        yield equation
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_program):
            if _is_program(inner):
                yield from equations(inner)


def _is_program(x: Any) -> bool:
    return hasattr(getattr(x, "jaxpr", x), "eqns")


def require_data(name: str) -> Path:
    """The folder of a real data set, or a skip that says where it was looked for."""
    from fjdl.data.files import search_path

    for folder in search_path():
        if (folder / name).is_dir():
            return folder / name
    pytest.skip(
        f"data set {name!r} is not in {[str(folder) for folder in search_path()]}; set FJDL_DATA_DIR to run this test"
    )
