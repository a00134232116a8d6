"""Choices by measurement name the versions of jaxlib for which they were made."""

import ast
import re
from collections.abc import Iterator

import pytest

from fjdl.measured import measured
from tests.support import ROOT

PINS = {"0.10.2", "0.12.0"}  # the versions of jaxlib on which the tests run and the rules were measured
SOURCES = sorted((ROOT / "fjdl").rglob("*.py"))


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.9.9", "a"),
        ("0.10.2", "a"),
        ("0.10.10", "a"),
        ("0.11.3", "a"),
        ("0.12.0", "b"),
        ("0.12.0.dev20260801", "b"),
        ("1.0", "b"),
    ],
)
def test_the_newest_measured_version_that_is_not_newer_counts(version: str, expected: str) -> None:
    assert measured({"0.12.0": "b", "0.10.2": "a"}, version=version) == expected


def test_no_versions_and_what_is_none_are_refused() -> None:
    with pytest.raises(ValueError, match="choices must name a version of jaxlib at least, got none"):
        measured({})
    with pytest.raises(ValueError, match=r"a version must begin with numbers as in 0\.10\.2, got 'newest'"):
        measured({"newest": 1})


def versioned(tree: ast.AST) -> Iterator[tuple[int, set[str]]]:
    """Line and keys of every dictionary whose keys are versions, but of those for TPUs, on which no test runs."""
    for_tpus = {id(value) for node in ast.walk(tree) if isinstance(node, ast.Dict) for value in of_key(node, "tpu")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict) and id(node) not in for_tpus:
            keys = {key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}
            if keys and all(re.fullmatch(r"\d+\.\d+\.\d+", key) for key in keys):
                yield node.lineno, keys


def of_key(node: ast.Dict, name: str) -> list[ast.expr]:
    pairs = zip(node.keys, node.values, strict=True)
    return [value for key, value in pairs if isinstance(key, ast.Constant) and key.value == name]


def on_cpu(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of every function that is chosen for the CPU alone."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("platform_dependent"):
            yield from ((node.lineno, ast.unparse(k.value)) for k in node.keywords if k.arg == "cpu")


def test_every_choice_was_measured_on_the_versions_that_are_tested() -> None:
    found = [(path, line, keys) for path in SOURCES for line, keys in versioned(ast.parse(path.read_text("utf-8")))]
    assert len(found) > 3
    assert [entry for entry in found if entry[2] != PINS] == []


PLAIN = {  # formulas as they were before accelerators got forms of their own; the CPU keeps their bits
    "lying",
    "norm_in_two_passes",
}


def test_every_function_for_the_cpu_alone_is_a_measured_choice() -> None:
    texts = {path: path.read_text("utf-8") for path in SOURCES}
    found = [(path, name) for path, text in texts.items() for _, name in on_cpu(ast.parse(text))]
    assert found
    assert [
        (path, name) for path, name in found if f"{name} = measured(" not in texts[path] and name not in PLAIN
    ] == []
