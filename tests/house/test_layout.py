"""Files and folders that a reader can take in, no circle of imports, and no use of another module's private names."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path, PurePosixPath

import pytest

from tests.house.test_floors import imports
from tests.support import ROOT

LINES = 300
FILES = 20
SOURCES = sorted(
    path for folder in ("fjdl", "experiments", "configs", "tests") for path in (ROOT / folder).rglob("*.py")
)

# Folders with more files, in which each file is one thing of one kind and has its name.
FLAT: dict[str, str] = {
    "configs": "an experiment a file",
    "experiments": "a command a file; what one command is made of has a room of its own",
    "fjdl/optim": "an optimizer, or one way of changing another, a file",
    "fjdl/models": "an architecture a file",
    "fjdl/functional": "a kind of layer a file; kinds with several files have rooms of their own",
    "fjdl/train": "one part of training a file",
    "fjdl/losses": "a kind of loss a file",
    "fjdl/augment": "a kind of change a file",
    "tests/experiments": "a command a file",
    "tests/optim": "as fjdl/optim",
    "tests/models": "as fjdl/models",
    "tests/functional": "as fjdl/functional",
    "tests/nn": "as fjdl/nn, a kind of layer, or a way of running modules, a file",
    "tests/train": "as fjdl/train",
    "tests/house": "a rule of the house, or a page, a file",
    "tests/losses": "as fjdl/losses",
    "tests/cases": "the rows of one part of the library a file",
    "tests/fuzz": "the random cases of one part of the library a file",
    "tests/worked_numbers": "the numbers of one subject a file",
}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def modules() -> dict[str, Path]:
    """Modules and packages of the repository by their dotted names."""
    return {name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in SOURCES}


def targets(source: str, file: str) -> Iterator[tuple[int, str]]:
    yield from imports(ast.parse(source), PurePosixPath(file))


def circle(uses: Mapping[str, set[str]]) -> list[str]:
    """Names that use one another in a circle, the first again at the end; none where there is no circle."""
    try:
        TopologicalSorter(uses).prepare()
    except CycleError as error:
        return error.args[1]
    return []


@cache
def uses() -> dict[str, set[str]]:
    """The modules that each module imports, at its top level, inside of functions and for types."""
    known = modules()
    found: dict[str, set[str]] = {}
    for name, path in known.items():
        names = {target for _, target in targets(path.read_text(), name_of(path))}
        named = names & known.keys() | {target.rpartition(".")[0] for target in names - known.keys()} & known.keys()
        found[name] = named - {name}
    return found


def private(source: str, file: str) -> list[str]:
    """A sentence for each private name of another module that a module imports or reaches."""
    found = []
    ours = [pair for pair in targets(source, file) if pair[1].split(".")[0] in ("fjdl", "experiments")]
    found += [f"{file}:{line}: imports {target}, which is private" for line, target in ours if is_private(target)]
    known = {target.rpartition(".")[2] for _, target in ours}
    for node in [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute)]:
        if is_private(node.attr) and isinstance(node.value, ast.Name) and node.value.id in known:
            found.append(f"{file}:{node.lineno}: reaches {node.value.id}.{node.attr}, which is private")
    return found


def is_private(name: str) -> bool:
    last = name.rpartition(".")[2]
    return last.startswith("_") and not last.startswith("__") and last not in ("_asdict", "_fields", "_replace")


def test_no_file_is_longer_than_300_lines() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in SOURCES}
    long = [f"{name}: {length} lines" for name, length in lengths.items() if length > LINES]
    assert not long, f"divide into files of at most {LINES} lines: {', '.join(long)}"


def test_a_folder_has_at_most_20_files_unless_each_is_one_thing() -> None:
    sizes: dict[str, int] = {}
    for path in SOURCES:
        if path.name != "__init__.py":
            sizes[name_of(path.parent)] = sizes.get(name_of(path.parent), 0) + 1
    full = [f"{name}: {size} files" for name, size in sizes.items() if size > FILES and name not in FLAT]
    assert not full, f"divide by subject, or name the folder in FLAT with the reason: {', '.join(full)}"
    assert not FLAT.keys() - sizes.keys()


def test_no_modules_import_one_another_in_a_circle() -> None:
    assert not circle(uses()), " imports ".join(circle(uses()))


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) in (
        ["a", "b", "c", "a"], ["b", "c", "a", "b"], ["c", "a", "b", "c"],
        ["a", "c", "b", "a"], ["b", "a", "c", "b"], ["c", "b", "a", "c"],
    )  # fmt: skip
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    graph = uses()
    assert "fjdl.functional.linear" in graph["fjdl.nn.layers"]
    assert "fjdl.losses" in graph["fjdl.classical.logistic"] | graph["fjdl.train.tasks.regression"]


def test_no_module_uses_private_names_of_another() -> None:
    ours = [path for path in SOURCES if not name_of(path).startswith("tests/")]
    found = [sentence for path in ours for sentence in private(path.read_text(), name_of(path))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("from fjdl.losses.focal import _power", "imports fjdl.losses.focal._power, which is private"),
        ("from fjdl.losses import focal\nx = focal._power", "reaches focal._power, which is private"),
        ("def f():\n    from .focal import _power", "imports fjdl.losses.focal._power, which is private"),
    ],
)
def test_a_private_name_is_found(source: str, sentence: str) -> None:
    (found,) = private(source, "fjdl/losses/poly.py")
    assert found.startswith("fjdl/losses/poly.py:")
    assert found.endswith(sentence)


def test_what_is_not_private_is_not_reported() -> None:
    source = "import fjdl\nfrom fjdl import losses\nfjdl.__version__\nlosses.__all__\nstate._replace(x=1)"
    assert private(source, "experiments/train.py") == []
