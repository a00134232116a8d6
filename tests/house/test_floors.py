"""The house of the design: an import may only point down, and only nn/ and models/ know Flax."""

import ast
import re
from collections.abc import Iterator
from pathlib import PurePath, PurePosixPath

import pytest

from tests.support import ROOT

FLOORS = {
    "typing": 0, "integers": 0, "errors": 0, "checks": 0, "numerics": 0, "tree": 0, "geometry": 0, "meshes": 0,
    "signals": 0, "explicit": 0, "batch": 0, "measured": 0, "calls": 0, "fused": 0, "files": 0, "names": 0,
    "platforms": 0, "lengths": 0, "dtypes": 0, "peers": 0,
    "lowering": 0.5,  # ways of running what functional/ states
    "boxes": 0.7,  # geometry that losses, metrics and augmentation rest on
    "functional": 1, "losses": 1, "metrics": 1, "augment": 1, "schedules": 1, "autodiff": 1, "analysis": 1,
    "decoding": 1, "diagnosis": 1,
    "model": 2, "optim": 2, "quant": 2, "interpret": 2, "search": 2,
    "classical": 3, "nn": 3, "data": 3, "transfer": 3.5,
    "models": 4,
    "train": 5, "plots": 5,
}  # fmt: skip
KNOW_FLAX = ("nn", "models")
ABOVE = ("experiments", "configs", "tests")

FILES = sorted(path for folder in ("fjdl", "experiments", "configs") for path in (ROOT / folder).rglob("*.py"))


def violations(source: str, file: str) -> list[str]:
    """One sentence `file:line: rule` for each import in `source` that breaks a rule of the house.

    `file` is the path from the root of the repository. Imports inside of functions and under `TYPE_CHECKING` count.
    """
    path = PurePosixPath(file)
    found = []
    for line, target in imports(ast.parse(source), path):
        checks = [nnx(target)]
        if path.parts[0] == "fjdl":
            checks += [flax(target, unit(path)), floor(target, unit(path))]
        found += [f"{file}:{line}: {rule}" for rule in checks if rule]
    return found


def imports(module: ast.Module, path: PurePosixPath) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of everything that is imported, or reached as `flax.nnx` or `fjdl.part`."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = ".".join([*path.parent.parts[: len(path.parts) - node.level]] if node.level else [])
            start = ".".join(part for part in (origin, node.module) if part)
            yield from ((node.lineno, f"{start}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("import_module", "importlib.import_module"):
            if node.args and isinstance(node.args[0], ast.Constant):
                yield node.lineno, str(node.args[0].value)
        elif isinstance(node, ast.Attribute) and re.fullmatch(r"fjdl\.\w+|flax\.nnx", ast.unparse(node)):
            yield node.lineno, ast.unparse(node)


def unit(path: PurePath) -> str:
    """The folder, or the file right below fjdl/, that has a floor."""
    return path.parts[1].removesuffix(".py")


def nnx(target: str) -> str | None:
    return "nobody may import flax.nnx" if f"{target}.".startswith("flax.nnx.") else None


def flax(target: str, home: str) -> str | None:
    if target.split(".")[0] == "flax" and home not in KNOW_FLAX:
        return f"{home} imports {target}, only {' and '.join(KNOW_FLAX)} may import flax"
    return None


def floor(target: str, home: str) -> str | None:
    top, *rest = target.split(".")
    if top in ABOVE:
        return f"{home} imports {target}, fjdl may not import {', '.join(ABOVE)}"
    if top != "fjdl" or not rest or rest[0].startswith("__") or rest[0] == home:
        return None
    if home == "__init__":
        return f"fjdl/__init__.py imports {target}, it may import no part of fjdl"
    for name in (home, rest[0]):
        if name not in FLOORS:
            return f"{home} imports {target}, but {name} has no floor: give it one in this test"
    here, there = FLOORS[home], FLOORS[rest[0]]
    if there < here or here == there == 0:
        return None
    direction = "sideways" if there == here else "up"
    return f"{home} (floor {here}) imports {target} (floor {there}) {direction}, an import may only point down"


def test_imports_only_point_down() -> None:
    broken = [rule for path in FILES for rule in violations(path.read_text(), path.relative_to(ROOT).as_posix())]
    assert not broken, "\n".join(broken)


def test_every_part_of_the_package_has_a_floor() -> None:
    parts = {unit(path.relative_to(ROOT)) for path in (ROOT / "fjdl").rglob("*.py")} - {"__init__"}
    assert parts <= FLOORS.keys()


BROKEN = [
    ("fjdl/losses/a.py", "from fjdl.optim import sgd", "losses (floor 1) imports fjdl.optim.sgd (floor 2) up"),
    ("fjdl/losses/a.py", "import fjdl.metrics.state.mean as m", "imports fjdl.metrics.state.mean (floor 1) sideways"),
    ("fjdl/losses/a.py", "from fjdl import models", "losses (floor 1) imports fjdl.models (floor 4) up"),
    ("fjdl/losses/a.py", "from ..nn import layers", "losses (floor 1) imports fjdl.nn.layers (floor 3) up"),
    ("fjdl/losses/a.py", "from .. import nn", "losses (floor 1) imports fjdl.nn (floor 3) up"),
    ("fjdl/losses/a.py", "from fjdl import tree, data", "losses (floor 1) imports fjdl.data (floor 3) up"),
    ("fjdl/losses/__init__.py", "from ..train import loop", "losses (floor 1) imports fjdl.train.loop (floor 5) up"),
    ("fjdl/schedules.py", "from . import quant", "schedules (floor 1) imports fjdl.quant (floor 2) up"),
    ("fjdl/schedules.py", "from .losses import mean", "imports fjdl.losses.mean (floor 1) sideways"),
    ("fjdl/tree.py", "import fjdl.schedules", "tree (floor 0) imports fjdl.schedules (floor 1) up"),
    ("fjdl/train/a.py", "from fjdl.plots import save", "train (floor 5) imports fjdl.plots.save (floor 5) sideways"),
    ("fjdl/nn/a.py", "import importlib\nimportlib.import_module('fjdl.train')", "imports fjdl.train (floor 5) up"),
    ("fjdl/nn/a.py", "import fjdl\nfit = fjdl.train.fit", "nn (floor 3) imports fjdl.train (floor 5) up"),
    ("fjdl/train/a.py", "import flax", "train imports flax, only nn and models may import flax"),
    ("fjdl/train/a.py", "from flax import linen as nn", "train imports flax.linen, only nn and models"),
    ("fjdl/nn/a.py", "from flax import nnx", "nobody may import flax.nnx"),
    ("fjdl/nn/a.py", "import flax.nnx.bridge", "nobody may import flax.nnx"),
    ("fjdl/nn/a.py", "import flax\nlayer = flax.nnx.Linear", "nobody may import flax.nnx"),
    ("experiments/bench.py", "from flax.nnx import jit", "nobody may import flax.nnx"),
    ("fjdl/train/a.py", "import experiments.train", "train imports experiments.train, fjdl may not import experiments"),
    ("fjdl/train/a.py", "from configs import lenet", "train imports configs.lenet, fjdl may not import experiments"),
    ("fjdl/train/a.py", "from tests.support import ROOT", "train imports tests.support.ROOT, fjdl may not import"),
    ("fjdl/__init__.py", "from fjdl import losses", "fjdl/__init__.py imports fjdl.losses, it may import no part"),
    ("fjdl/newcomer.py", "import fjdl.tree", "newcomer has no floor"),
    ("fjdl/train/a.py", "import fjdl.newcomer", "newcomer has no floor"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "source", "rule"), BROKEN)
@pytest.mark.parametrize("place", ["", "def f():\n", "if TYPE_CHECKING:\n"])
def test_a_violation_is_found_wherever_it_stands(file: str, source: str, rule: str, place: str) -> None:
    lines = source.splitlines()
    nested = place + "\n".join(("  " if place else "") + line for line in lines)
    (message,) = violations(f'"""A module."""\n\n{nested}\n', file)
    assert message.startswith(f"{file}:{2 + bool(place) + len(lines)}: ")
    assert rule in message


FINE = [
    ("fjdl/optim/a.py", "import optax\nfrom fjdl import tree\nfrom fjdl.optim.base import like"),
    ("fjdl/optim/a.py", "from . import base\nfrom .base import like\nfrom ..typing import Array"),
    ("fjdl/optim/__init__.py", "from .adam import adam\nfrom fjdl.optim.sgd import sgd"),
    ("fjdl/tree.py", "from fjdl.numerics import widened\nfrom fjdl.typing import Array"),
    ("fjdl/nn/a.py", "from flax import linen as nn\nfrom fjdl.functional import conv"),
    ("fjdl/train/a.py", "from fjdl import __version__\nimport fjdl\nversion = fjdl.__version__\nimport flaxen"),
    ("fjdl/__init__.py", "import importlib\nimportlib.import_module(f'fjdl.{name}')"),
    ("experiments/train.py", "from configs import lenet\nfrom fjdl.train import loop\nfrom fjdl.plots import save"),
    ("experiments/bench.py", "from flax import linen"),
]


@pytest.mark.parametrize(("file", "source"), FINE)
def test_what_the_rules_allow_is_not_reported(file: str, source: str) -> None:
    assert violations(source, file) == []
