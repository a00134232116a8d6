"""PyTorch where it is not installed: importing it succeeds, and calling anything of it skips the test that does."""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NoReturn

import pytest

REASON = "needs PyTorch, an oracle that the extra `torch` installs"


def _skip(*args: Any, **kwargs: Any) -> NoReturn:
    pytest.skip(REASON, allow_module_level=True)


class _Skipping(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        _skip()


class Tensor(metaclass=_Skipping):
    """Of which there are none."""


class Underived:
    """The base of a class that derives from one of PyTorch's."""

    __new__ = _skip


class Deferred:
    """Anything of PyTorch's: it may be named, passed on and derived from, and skips where it is called."""

    __call__ = _skip

    def __getattr__(self, name: str) -> "Deferred":
        return _deferred(name)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (Underived,)


class Absent(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name == "Tensor":  # SciPy compares the types of its arrays with it, once a module of this name is loaded
            return Tensor
        return _deferred(name)


def _deferred(name: str) -> Deferred:
    if name.startswith("__"):
        raise AttributeError(name)
    return Deferred()


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `torch` and everything below it after all other finders have failed."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] != "torch":
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return Absent(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run."""


def stand_in_for_torch() -> None:
    """Lets the tests be collected without PyTorch, and each one that uses it be skipped with a reason."""
    if importlib.util.find_spec("torch") is None:
        sys.meta_path.append(_Finder())
