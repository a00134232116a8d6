"""`python -m tests.mutation 200`: a sample of mutants, each under the tests of its module in a fork of one process."""

import argparse
import ast
import contextlib
import importlib.abc
import importlib.util
import os
import random
import re
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from tests.mutation.mutants import mutants

ROOT = Path(__file__).parents[2]
WARM = ("jax", "flax.linen", "scipy.special", "scipy.stats", "sklearn.metrics", "optax", "torch")
ROOMS = ("losses", "metrics", "optim")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("number", type=int, nargs="?", default=200, help="of mutants in all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=120, help="after which a mutant counts as killed")
    parser.add_argument("--rooms", nargs="+", default=ROOMS)
    parser.add_argument("--only", default="", help="files whose name contains it")
    given = parser.parse_args()
    for name in WARM:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    files = [
        path for room in given.rooms for path in sorted((ROOT / "fjdl" / room).rglob("*.py")) if given.only in str(path)
    ]
    every = [(path, mutant) for path in files if path.name != "__init__.py" for mutant in mutants(path.read_text())]
    sample = random.Random(given.seed).sample(every, min(given.number, len(every)))
    counts: Counter[tuple[str, bool]] = Counter()
    for path in sorted({path for path, _ in sample}):
        if _killed(path, ast.parse(path.read_text()), given.seconds):
            sys.exit(f"{path}: its tests must pass and end in {given.seconds} s without a mutant, got a failure")
    for path, mutant in sorted(sample, key=lambda each: (each[0], each[1].line)):
        start, name = time.monotonic(), path.relative_to(ROOT).as_posix()
        killed = _killed(path, mutant.tree, given.seconds)
        counts[name, killed] += 1
        word = "killed  " if killed else "SURVIVED"
        print(
            f"{word} {time.monotonic() - start:5.1f} s  {name}:{mutant.line}: {mutant.before} -> {mutant.after}",
            flush=True,
        )
    print("\n| file | mutants | killed | survived |\n|---|---|---|---|")
    for name in sorted({name for name, _ in counts}):
        killed, survived = counts[name, True], counts[name, False]
        print(f"| {name} | {killed + survived} | {killed} | {survived} |")
    print(f"| all of {len(every)} | {len(sample)} | {sum(n for (_, k), n in counts.items() if k)} | "
          f"{sum(n for (_, k), n in counts.items() if not k)} |")  # fmt: skip


def tests_of(path: Path) -> list[str]:
    """The test files of a module: of its name, or that name it or what is public in it, or those of the whole room."""
    room = ROOT / "tests" / path.relative_to(ROOT / "fjdl").parts[0]
    tests = sorted(room.rglob("test_*.py"))
    named = [test for test in tests if test.stem.removeprefix("test_").startswith(path.stem)]
    defined = (
        node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    )
    names = [name for name in defined if not name.startswith("_")]
    said = re.compile(rf"\b({'|'.join((re.escape(module_of(path)), *names))})\b")
    mentioned = [test for test in tests if test not in named and said.search(test.read_text())]
    return [str(test) for test in (*named, *mentioned)] or [str(test) for test in tests]


def module_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")


def _killed(path: Path, tree: ast.Module, seconds: float) -> bool:
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(1, 2)
        os.environ["FJDL_TEST_WHOLE"] = "1"
        signal.setitimer(signal.ITIMER_REAL, seconds)  # the signal ends the child
        sys.meta_path.insert(0, _Replaced(path, tree))
        options = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-m", "not slow and not fuzz"]
        passed = not pytest.main([*options, *tests_of(path)])
        os._exit(not (passed and _rows_pass(path, options)))
    return os.waitpid(child, 0)[1] != 0


def _rows_pass(path: Path, options: list[str]) -> bool:
    """Whether the rows of the module equal their oracles and have their edges; true where it has none."""
    module = ".".join(path.relative_to(ROOT / "fjdl").with_suffix("").parts)
    laws = f"(oracle or edges) and {module}"
    status = pytest.main([*options, str(ROOT / "tests" / "laws" / "test_laws.py"), "-k", laws])
    return status in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


class _Replaced(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the mutant in place of the module."""

    def __init__(self, path: Path, tree: ast.Module) -> None:
        self.path, self.tree = path, tree
        self.name = module_of(path)

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        return (
            importlib.util.spec_from_file_location(fullname, self.path, loader=self) if fullname == self.name else None
        )

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self.tree, str(self.path), "exec"), module.__dict__)


if __name__ == "__main__":
    main()
