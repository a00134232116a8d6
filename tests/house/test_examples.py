"""Every `>>>` in a docstring of fjdl and of the commands runs and gives what stands below it, and every room shows one.

An example sees `jax`, `jnp`, `np` and the names of its own module; everything else it imports. White space does not
count and `...` stands for anything, so that long decimals can be cut: `Array(0.693..., dtype=float32)`.
"""

import ast
import doctest
import importlib
from functools import cache
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support import ROOT

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.FAIL_FAST
ROOMS = sorted((ROOT / "fjdl").rglob("__init__.py"))


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def examples(path: Path) -> list[tuple[str, int, str]]:
    """Name, line and text of each docstring in a file that has an example; nothing is imported."""
    module = ast.parse(path.read_text())
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ">>>" in (ast.get_docstring(node) or ""):
            name = dotted(path) if node is module else f"{dotted(path)}.{node.name}"
            found.append((name, node.body[0].lineno, ast.get_docstring(node)))
    return found


SHOWN = [
    path
    for folder in ("fjdl", "experiments")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if ">>>" in path.read_text()
]


@pytest.mark.parametrize("path", SHOWN, ids=dotted)
def test_examples_give_what_they_show(path: Path) -> None:
    module = importlib.import_module(dotted(path))
    assert examples(path)
    for name, line, text in examples(path):
        names = {**vars(module), "jax": jax, "jnp": jnp, "np": np}
        test = doctest.DocTestParser().get_doctest(text, names, name, str(path), line - 1)
        told: list[str] = []
        result = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=told.append)
        assert result.failed == 0, "".join(told)
        assert result.attempted > 0
