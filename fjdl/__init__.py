"""Functional JAX deep learning: pure, verified functions, composed into thin modules, trained by one recipe.

Sub-packages load on first use, so `import fjdl` costs nothing beyond `import jax`.
"""

import importlib.util
from typing import Any

__version__ = "0.2.0.dev0"

_SUBPACKAGES = (
    "analysis", "augment", "autodiff", "boxes", "classical", "data", "decoding", "dtypes", "errors", "functional",
    "interpret", "losses", "metrics", "models", "nn", "optim", "plots", "quant", "schedules", "search", "train",
    "transfer", "tree", "typing",
)  # fmt: skip


_FUNCTIONS = {"load_run": "train"}  # and the sub-package that each is in


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(f"fjdl.{_FUNCTIONS[name]}"), name)
    if name.startswith("_") or importlib.util.find_spec(f"fjdl.{name}") is None:
        raise AttributeError(f"fjdl has no sub-package {name!r}; it has {', '.join(_SUBPACKAGES)}")
    return importlib.import_module(f"fjdl.{name}")


def __dir__() -> list[str]:
    return [*_SUBPACKAGES, *_FUNCTIONS, "__version__"]
