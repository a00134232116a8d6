"""Eager calls that run as one compiled program instead of one operation after the other."""

import functools
import types
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
from jax.core import Tracer

F = TypeVar("F", bound=Callable[..., Any])

_MOST_PROGRAMS = 16


def fused(function: F) -> F:
    """A pure function of arrays whose eager calls are compiled once for each set of options; the result is the same.

    Under `jax.jit`, `jax.grad` and the like it is the function itself. So it is after 16 different sets of options,
    lest an option that changes at every step compile at every step, and where an argument is neither an array nor a
    tree of arrays, nor a number, a string, a dtype, None or a tuple of such, where an array is spread over devices, and
    where a range could not be checked in a program: that of an array given by name as a number, and that of unsigned
    integers of 32 bits or more.
    """
    programs: dict[Any, Callable[..., Any]] = {}

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        arrays, options = [], []
        for name, value in (*enumerate(args), *kwargs.items()):
            kind = _kind(type(value))
            if kind == "option" or (kind == "options" and all(_kind(type(x)) == "option" for x in value)):
                options.append((name, value))
            elif (kind == "array" and _may_enter(value) and (value.ndim or isinstance(name, int))) or (
                kind == "other" and _holds_arrays_alone(value)
            ):
                arrays.append(value)
                options.append(name)
            else:
                return function(*args, **kwargs)
        key = tuple(options)
        if key not in programs:
            if len(programs) >= _MOST_PROGRAMS:
                return function(*args, **kwargs)
            programs[key] = jax.jit(_of_arrays(function, key), inline=True)
        try:
            return programs[key](*arrays)
        except ValueError:
            del programs[key]
        return function(*args, **kwargs)  # raises it again, without JAX's notes on its own frames

    return call  # type: ignore[return-value]


def _of_arrays(function: Callable[..., Any], names: tuple[Any, ...]) -> Callable[..., Any]:
    """The function of its arrays alone; `names` holds positions and names of arrays, and pairs with other values."""

    def program(*arrays: Any) -> Any:
        rest = iter(arrays)
        given = dict(name if isinstance(name, tuple) else (name, next(rest)) for name in names)
        args = [value for name, value in given.items() if isinstance(name, int)]
        return function(*args, **{name: value for name, value in given.items() if isinstance(name, str)})

    program.__name__ = function.__name__
    return program


@functools.cache
def _kind(kind: type) -> str:
    """What the type is to a program: "array", "option", "options" of a tuple, or "other", perhaps a tree of arrays."""
    if kind is np.ndarray or (issubclass(kind, jax.Array) and not issubclass(kind, Tracer)):
        return "array"
    if kind is tuple:
        return "options"
    option = kind in (int, float, bool, str, types.NoneType) or issubclass(kind, np.dtype | type)
    return "option" if option else "other"


def _holds_arrays_alone(tree: Any) -> bool:
    leaves = jax.tree.leaves(tree)
    return bool(leaves) and all(_kind(type(leaf)) == "array" and _on_one_device(leaf) for leaf in leaves)


def _may_enter(array: Any) -> bool:
    if array.dtype.kind == "u" and array.dtype.itemsize >= 4:
        return False
    return _on_one_device(array)


def _on_one_device(array: Any) -> bool:
    return isinstance(array, np.ndarray) or len(array.sharding.device_set) == 1
