"""What every public function of floors 0 to 2 promises by its signature, and what importing the package costs."""

import importlib
import inspect
import json
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import jax
import numpy as np
import pytest
from jaxtyping import AbstractArray

from fjdl.typing import PyTree
from tests.house.test_floors import FLOORS, unit
from tests.support import ROOT

# A default that is not an array may still be positional here, for the reason given.
POSITIONAL_DEFAULTS: dict[str, str] = {
    "fjdl.functional.gates.swish(beta)": "may be learned, and then it is an array like `x`",
    "fjdl.metrics.state.amounts.zero(shape)": "the one argument of a constructor, as in `jnp.zeros(shape)`",
    "fjdl.metrics.state.counts.zero(shape)": "the one argument of a constructor, as in `jnp.zeros(shape)`",
}

# Functions that only compute shapes or build operations: no array passes through them, so there is none to check.
RULES = "rules of a primitive, called at lowering with what a function of fjdl.functional has checked"
UNTYPED: dict[str, str] = {
    "fjdl.lowering.bilinear": "defines primitives; the public functions that bind them are checked",
    "fjdl.lowering.conv_everywhere": RULES,
    "fjdl.lowering.conv_cpu": RULES,
    "fjdl.lowering.matmul": RULES,
    "fjdl.lowering.linear": "defines primitives; the public functions that bind them are checked",
    "fjdl.lowering.windows": RULES,
    "fjdl.lowering.taps": RULES,
    "fjdl.lowering.cpu.bands": RULES,
    "fjdl.lowering.cpu.depthwise": RULES,
    "fjdl.lowering.cpu.matrix": RULES,
    "fjdl.lowering.cpu.patches": RULES,
    "fjdl.lowering.cpu.pointwise": RULES,
    "fjdl.lowering.cpu.strips": RULES,
    "fjdl.functional.recurrent.sequence": "called with what the functions of each cell have checked",
    "fjdl.losses.labels": "called with what the losses have checked",
    "fjdl.decoding.prompts": "called with what the ways of decoding have checked",
    "fjdl.files": "bytes on disk",
    "fjdl.model": "builds models; what passes through them is checked in their layers",
    "fjdl.geometry": "integers of windows, with errors of their own",
}


def modules() -> Iterator[types.ModuleType]:
    """All modules of floors 0 to 2."""
    for path in sorted((ROOT / "fjdl").rglob("*.py")):
        relative = path.relative_to(ROOT)
        if FLOORS.get(unit(relative), 3) <= 2:
            yield importlib.import_module(dotted(relative))


def dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def public(module: types.ModuleType) -> dict[str, Callable[..., Any]]:
    """Functions that the module itself defines, by their dotted names; `jax.jit` and the like count as functions."""
    return {
        f"{module.__name__}.{name}": value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and getattr(value, "__module__", None) == module.__name__
        and (inspect.isfunction(value) or hasattr(value, "__wrapped__"))
    }


def faults(name: str, function: Callable[..., Any]) -> list[str]:
    """Sentences on each rule that the function breaks."""
    signature = inspect.signature(function)
    parameters = list(signature.parameters.values())
    found = [f"{name}({p.name}) has no type" for p in parameters if p.annotation is p.empty]
    found += [f"{name}({p.name}) must be keyword-only, or an array" for p in parameters if _loose(name, p)]
    if signature.return_annotation is inspect.Signature.empty:
        found.append(f"{name} has no type of its result")
    first = (inspect.getdoc(function) or "").split("\n")[0]
    if not first.endswith("."):
        found.append(f"{name} needs a docstring whose first line ends with a full stop, got {first!r}")
    names = [p.name for p in parameters]
    if {"rng", "prng", "prng_key"} & set(names):
        found.append(f"{name} must call its random key `key`")
    if "key" in names and names[0] != "key":
        found.append(f"{name} must take `key` first")
    return found


def _loose(name: str, parameter: inspect.Parameter) -> bool:
    """Whether an option can be passed without its name."""
    if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD or f"{name}({parameter.name})" in POSITIONAL_DEFAULTS:
        return False
    return parameter.annotation is bool or (
        parameter.default is not parameter.empty and not _array(parameter.annotation)
    )


def _array(annotation: Any) -> bool:
    """Whether the type is that of arrays or trees, perhaps with None."""
    if get_origin(annotation) is not None and get_args(annotation):
        return all(_array(part) for part in get_args(annotation) if part is not types.NoneType)
    if annotation in (PyTree, jax.Array, np.ndarray):
        return True
    return isinstance(annotation, type) and issubclass(annotation, AbstractArray)


PUBLIC = [pair for module in modules() for pair in public(module).items()]
ON_ARRAYS = [pair for pair in PUBLIC if pair[0].split(".")[1] in ("functional", "losses", "metrics", "decoding")]


def test_signatures_and_docstrings_keep_the_rules() -> None:
    found = [fault for name, function in PUBLIC for fault in faults(name, function)]
    assert not found, "\n".join(found)


def test_functions_of_arrays_check_their_shapes() -> None:
    unchecked = [name for name, function in ON_ARRAYS if not hasattr(function, "__wrapped__")]
    found = [name for name in unchecked if name.rpartition(".")[0] not in UNTYPED]
    assert not found, f"{', '.join(found)} must be decorated with @typed"


def test_the_walk_finds_the_functions_that_users_import() -> None:
    names = {name for name, _ in PUBLIC}
    assert {"fjdl.losses.regression.mse_loss", "fjdl.quant.affine.absmax_quantize", "fjdl.tree.global_norm"} <= names
    assert not [name for name in names if "._" in name]


def test_every_exception_is_still_needed() -> None:
    arguments = {f"{name}({p})" for name, function in PUBLIC for p in inspect.signature(function).parameters}
    assert POSITIONAL_DEFAULTS.keys() <= arguments
    assert UNTYPED.keys() <= {module.__name__ for module in modules()}


def _untyped(x, *, scale: float = 1.0) -> None:
    """Nothing."""


def _resultless(x: float):
    """Nothing."""


def _undocumented(x: float) -> None: ...


def _unstopped(x: float) -> None:
    """Nothing"""


def _loose_option(x: jax.Array, scale: float = 1.0) -> None:
    """Nothing."""


def _loose_flag(x: jax.Array, fast: bool) -> None:
    """Nothing."""


def _late_key(x: jax.Array, key: jax.Array) -> None:
    """Nothing."""


def _rng(rng: jax.Array) -> None:
    """Nothing."""


def _good(key: jax.Array, x: jax.Array, bias: jax.Array | np.ndarray | None = None, *, scale: float = 1.0) -> None:
    """Nothing."""


@pytest.mark.parametrize(
    ("function", "rule"),
    [
        (_untyped, "f(x) has no type"),
        (_resultless, "f has no type of its result"),
        (_undocumented, "f needs a docstring whose first line ends with a full stop, got ''"),
        (_unstopped, "f needs a docstring whose first line ends with a full stop, got 'Nothing'"),
        (_loose_option, "f(scale) must be keyword-only, or an array"),
        (_loose_flag, "f(fast) must be keyword-only, or an array"),
        (_late_key, "f must take `key` first"),
        (_rng, "f must call its random key `key`"),
    ],
)
def test_a_fault_is_found(function: Callable[..., Any], rule: str) -> None:
    assert faults("f", function) == [rule]


def test_a_good_function_has_no_fault() -> None:
    assert faults("f", _good) == []


HEAVY = ("flax", "orbax", "matplotlib", "grain", "sklearn", "optax", "torch")
LIGHT = ("fjdl", "fjdl.losses", "fjdl.metrics", "fjdl.functional", "fjdl.quant", "fjdl.schedules")

PROGRAM = f"""
import importlib, json, sys, time
import jax
start = time.perf_counter()
import fjdl
seconds = time.perf_counter() - start
heavy = {{}}
for name in {LIGHT}:
    importlib.import_module(name)
    heavy[name] = [package for package in {HEAVY} if package in sys.modules]
print(json.dumps([seconds, heavy]))
"""


def test_training_loads_no_flax() -> None:
    program = "import sys, fjdl.train, fjdl.train.tasks; print('flax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def fresh_import() -> tuple[float, dict[str, list[str]]]:
    """Seconds of `import fjdl` after `import jax`, and the heavy packages that are loaded after each import."""
    answer = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return tuple(json.loads(answer.stdout))


@pytest.fixture(scope="module")
def first_import() -> tuple[float, dict[str, list[str]]]:
    return fresh_import()


@pytest.mark.parametrize("name", LIGHT)
def test_a_light_import_loads_nothing_heavy(name: str, first_import: tuple[float, dict[str, list[str]]]) -> None:
    assert first_import[1][name] == []


def test_importing_the_package_costs_nothing_beyond_jax(first_import: tuple[float, dict[str, list[str]]]) -> None:
    best, tries = first_import[0], 1
    while best > 0.15 and tries < 3:
        best, tries = min(best, fresh_import()[0]), tries + 1
    assert best <= 0.15
