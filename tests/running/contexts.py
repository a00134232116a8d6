"""MLIR's contexts, which JAX 0.10 makes anew for each program: 3 of the 25 ms that a program takes go there."""

import threading
from importlib.metadata import version
from typing import Any

from jax._src.interpreters import mlir

PROGRAMS = 100  # JAX 0.12 lowers 10 in one context of a thread, lest what contexts intern grows for ever


class _Kept(threading.local):
    context: Any = None
    left = 0


def share_contexts() -> None:
    """Lets JAX 0.10 use each context for many programs, as JAX 0.12 does of itself."""
    if not version("jax").startswith("0.10."):
        return
    make, kept = mlir.make_ir_context, _Kept()

    def make_ir_context() -> Any:
        if not kept.left:
            kept.context, kept.left = make(), PROGRAMS
        kept.left -= 1
        return kept.context

    mlir.make_ir_context = make_ir_context
