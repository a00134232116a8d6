"""One of two forms of an operation, by the platform for which a program is compiled."""

from collections.abc import Callable
from typing import TypeVar

from jax import lax

from fjdl.meshes import varying, varying_axes
from fjdl.typing import PyTree

Result = TypeVar("Result", bound=PyTree)


def by_platform(
    *operands: PyTree,
    elsewhere: Callable[..., Result],
    cpu: Callable[..., Result] | None = None,
    tpu: Callable[..., Result] | None = None,
    cuda: Callable[..., Result] | None = None,
) -> Result:
    """`cpu(*operands)` in a program that is compiled for a CPU, and so for the others; else `elsewhere(*operands)`.

    The last is for every other platform, and for one of the three that is not given. All give results of the same
    shapes and dtypes. The compiled program holds one of them alone. The choice is made when the program is lowered, so
    that one that is compiled ahead of time for a TPU, on a machine that has none, gets the form for a TPU.

    >>> import jax.numpy as jnp
    >>> by_platform(jnp.float32(3.0), cpu=lambda x: x * x, elsewhere=lambda x: x**2)
    Array(9., dtype=float32)
    """
    axes = varying_axes(operands)
    given = {"cpu": cpu, "tpu": tpu, "cuda": cuda, "default": elsewhere}
    forms = {
        name: lambda *args, form=form: varying(form(*args), axes) for name, form in given.items() if form is not None
    }
    return lax.platform_dependent(*operands, **forms)
