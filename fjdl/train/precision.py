"""How exactly a recipe computes: the dtype of its activations, and how factors of products are rounded."""

import contextlib
import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Literal, ParamSpec, TypeVar, get_args

import jax
import jax.numpy as jnp

from fjdl.errors import UsageError

Precision = Literal["float32", "tensorfloat32", "bfloat16", "float16"]
PRECISIONS: tuple[str, ...] = get_args(Precision)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def check_precision(precision: str) -> None:
    """Raises `UsageError` for a name that is none of the four."""
    if precision not in PRECISIONS:
        raise UsageError(f"precision must be one of {list(PRECISIONS)}, got {precision!r}")


def activation_dtype(precision: Precision) -> Any:
    """The dtype of activations: that of the name for "bfloat16" and "float16", and float32 for the other two."""
    return {"bfloat16": jnp.bfloat16, "float16": jnp.float16}.get(precision, jnp.float32)


def products(precision: Precision) -> AbstractContextManager[Any]:
    """How matrix products and convolutions of float32 arrays round their factors, where they are traced inside.

    "float32" does not, on any platform. "tensorfloat32" takes three passes of bfloat16 on a TPU and the
    format of that name on a GPU, with relative errors of about 1e-5 and 5e-4; it is `jax.lax.Precision.HIGH`.
    "bfloat16" and "float16" change nothing: activations are of that dtype then, and products of other arrays are as
    `jax.default_matmul_precision` has them outside. A CPU multiplies float32 in float32 for all four.
    """
    half = activation_dtype(precision) != jnp.float32
    return contextlib.nullcontext() if half else jax.default_matmul_precision(precision)


def at_precision(precision: Precision, function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """The function, with what it traces inside `products`."""

    @functools.wraps(function)
    def within(*args: Arguments.args, **options: Arguments.kwargs) -> Result:
        with products(precision):
            return function(*args, **options)

    return within
