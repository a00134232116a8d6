"""Configs: Python files with one function `recipe(*, seed=0, ...) -> Recipe`, and the copy of one that a run keeps."""

import importlib.util
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from fjdl.errors import UsageError
from fjdl.train.documents import read_sealed_text
from fjdl.train.recipe import Recipe

Build = Callable[..., Any]


def load_config(path: Path) -> Build:
    """The function `recipe` of a config file; raises `UsageError` where there is none, or where loading it fails."""
    if not path.is_file():
        near = ", ".join(str(p) for p in sorted(path.parent.glob("*.py"))) if path.parent.is_dir() else "no such folder"
        raise UsageError(f"config {path} does not exist; beside it: {near or 'no configs'}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    return _loaded(module, path, lambda: spec.loader.exec_module(module))  # type: ignore[union-attr]


def load_kept_config(path: Path) -> Build:
    """The function `recipe` of the copy that a run keeps; raises `StorageError` for a copy that is damaged."""
    text, module = read_sealed_text(path), ModuleType(path.stem)
    module.__file__ = str(path)
    return _loaded(module, path, lambda: exec(compile(text, str(path), "exec"), vars(module)))


def built(build: Build, arguments: Mapping[str, Any]) -> Recipe:
    """The recipe of these arguments; raises `UsageError` for a function that gives none, and what it raises itself."""
    try:
        inspect.signature(build).bind(**arguments)
    except TypeError as error:
        raise UsageError(f"a config's function recipe must take the arguments that are recorded: {error}") from error
    recipe = build(**arguments)
    if not isinstance(recipe, Recipe):
        raise UsageError(f"a config's function recipe must return a Recipe, got {type(recipe).__name__}")
    return recipe


def _loaded(module: ModuleType, path: Path, run: Callable[[], None]) -> Build:
    try:
        run()
    except Exception as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"config {path} cannot be loaded: {type(error).__name__}: {reason}") from error
    build = getattr(module, "recipe", None)
    if not callable(build):
        raise UsageError(f"config {path} must define a function recipe(*, seed=0, ...) -> Recipe, and does not")
    return build
