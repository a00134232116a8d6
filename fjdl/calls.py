"""How a function is called: arguments bound to parameters, NumPy's numbers and raw keys made plain, and sentences.

Every sentence is written here, not taken from the interpreter, and so is the same in every version of Python.
"""

import difflib
import inspect
import operator
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import AbstractArray, Key

from fjdl.explicit import explicit_mesh
from fjdl.integers import is_cut_off

Convert = Callable[[Any], Any]

_NUMBERS = (int, float, bool, complex)


class CallError(ValueError, TypeError):
    """A function is called with arguments that it does not have, or without one that it needs."""


def bind(
    name: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> inspect.BoundArguments:
    """The arguments by the names of their parameters; raises `CallError`, which names the function, if they misfit."""
    try:
        return signature.bind(*args, **kwargs)
    except TypeError as error:
        raise CallError(f"{name}: {_misfit(signature, args, kwargs) or error}") from None


def _misfit(signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str | None:
    """What keeps the arguments from fitting to the signature, the first of all reasons."""
    parameters = signature.parameters.values()
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    named = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    only = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    kinds = {p.kind for p in parameters}
    unknown = [] if inspect.Parameter.VAR_KEYWORD in kinds else [name for name in kwargs if name not in named]
    if unknown:
        return f"there is no argument `{unknown[0]}`{_instead(unknown[0], named)}"
    if len(args) > len(positional) and inspect.Parameter.VAR_POSITIONAL not in kinds:
        allowed = f"at most {len(positional)} of its arguments" if positional else "none of its arguments"
        missing = [name for name in only if name not in kwargs]
        hint = f", give the others by name, as in {missing[0]}=…" if missing else ""
        return f"takes {allowed} by position{_listed(positional)}, got {len(args)}{hint}"
    twice = [name for name in positional[: len(args)] if name in kwargs]
    if twice:
        return f"argument `{twice[0]}` is given by position and by name"
    needed = [p.name for p in parameters if p.default is p.empty and p.name in {*positional, *named}]
    absent = [name for name in needed if name not in {*positional[: len(args)], *kwargs}]
    return f"argument `{absent[0]}` is missing" if absent else None


def _instead(name: str, names: Sequence[str]) -> str:
    near = nearest(name, names)
    if near:
        return f", did you mean `{near}`?"
    return f", only {', '.join(f'`{known}`' for known in names)}" if names else ", it takes none"


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that was most likely meant: one spelled alike, or one that `name` abbreviates, as lr does."""
    names = list(names)
    alike = difflib.get_close_matches(name, names, n=1)
    shortened = [full for full in names if name[:1] == full[:1] and _in_order(name, full)]
    return alike[0] if alike else shortened[0] if shortened else None


def _in_order(letters: str, text: str) -> bool:
    rest = iter(text)
    return all(letter in rest for letter in letters)


def _listed(names: Sequence[str]) -> str:
    return f" ({', '.join(names)})" if names else ""


def converters(signature: inspect.Signature) -> dict[str, Convert]:
    """For each parameter what makes its argument plain, see `_converter`; parameters that need nothing are left out."""
    found = {name: _converter(parameter.annotation) for name, parameter in signature.parameters.items()}
    return {name: convert for name, convert in found.items() if convert is not None}


def _converter(hint: Any) -> Convert | None:
    """A raw key becomes a typed one, a NumPy scalar a number, and a vector a tuple where no array is taken."""
    parts = list(union(hint))
    arrays = [part for part in parts if _is_array(part)]
    if any(part.dtype is Key for part in arrays):
        return typed_key
    sequences = any(_holds_numbers(part) for part in parts)
    if any(part in _NUMBERS for part in parts) or sequences:
        return lambda value: plain(value, vectors=sequences and not arrays)
    return _array if arrays else None


def takes_arrays(hint: Any) -> bool:
    """Whether the type is one of arrays, or a union with one."""
    return any(map(_is_array, union(hint)))


def _is_array(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, AbstractArray)


def union(hint: Any) -> Iterator[Any]:
    """The members of a union, or the one type that is none."""
    if get_origin(hint) in (Union, types.UnionType):
        for part in get_args(hint):
            yield from union(part)
    elif get_origin(hint) is Annotated:
        yield from union(get_args(hint)[0])
    else:
        yield hint


def _holds_numbers(hint: Any) -> bool:
    """Whether the type is a sequence of numbers, or of sequences of them."""
    if get_origin(hint) not in (tuple, list, Sequence):
        return False
    inner = [part for argument in get_args(hint) if argument is not ... for part in union(argument)]
    return any(part in _NUMBERS or _holds_numbers(part) for part in inner)


def typed_key(key: Any) -> Any:
    """A key of `jax.random.key` from one of `jax.random.PRNGKey`, which is a vector; anything else as it is."""
    if not isinstance(key, jax.Array | np.ndarray) or key.dtype != np.uint32 or key.shape not in ((2,), (4,)):
        return key
    default = jax.config.jax_default_prng_impl  # type: ignore[attr-defined]
    impl = "threefry2x32" if key.shape == (2,) else default if default.endswith("rbg") else "rbg"
    return jax.random.wrap_key_data(jnp.asarray(key), impl=impl)


def plain(value: Any, *, vectors: bool) -> Any:
    """NumPy scalars as Python numbers, in tuples and lists too; with `vectors`, known 1-d arrays as tuples."""
    if isinstance(value, np.generic) and value.dtype.kind in "biufc":
        return value.item()
    if isinstance(value, tuple | list) and type(value) in (tuple, list):
        entries = [plain(entry, vectors=vectors) for entry in value]
        return value if all(map(operator.is_, entries, value)) else type(value)(entries)
    vector = vectors and isinstance(value, jax.Array | np.ndarray) and value.ndim == 1
    return tuple(np.asarray(value).tolist()) if vector and not isinstance(value, Tracer) else value


def _array(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, np.generic) else value


def expected(hint: Any) -> str:
    """The type in words, Python's own first: `float or Float[Array, '']`."""
    parts = [part for part in union(hint) if part not in (None, types.NoneType)]
    return " or ".join(dict.fromkeys(map(_worded, sorted(parts, key=_is_array))))


def _worded(hint: Any) -> str:
    if _is_array(hint):
        return f"{hint.__name__.partition('[')[0]}[Array, {hint.dim_str!r}]"
    if get_origin(hint) is Literal:
        return " or ".join(repr(choice) for choice in get_args(hint))
    if get_origin(hint) is Callable or hint is Callable:
        return "a function"
    if get_origin(hint) in (tuple, list, Sequence):
        inner = ", ".join("..." if argument is ... else expected(argument) for argument in get_args(hint))
        return f"{get_origin(hint).__name__}[{inner}]"
    if hint in (jax.Array, np.ndarray):
        return "Array"
    return hint.__name__ if isinstance(hint, type) and not get_args(hint) else str(hint).replace("typing.", "")


def received(value: Any) -> str:
    """The value in at most 60 characters, on one line; of an array its dtype and shape, also within a tuple."""
    if isinstance(value, jax.Array | np.ndarray):
        return f"{_short(str(value.dtype))}[{','.join(map(str, value.shape))}]"
    if isinstance(value, tuple) and any(isinstance(entry, jax.Array | np.ndarray | tuple) for entry in value):
        return f"({', '.join(map(received, value))})"
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:59]}…"


def _short(dtype: str) -> str:
    for long, short in (("bfloat", "bf"), ("float", "f"), ("complex", "c"), ("uint", "u"), ("int", "i")):
        if dtype.startswith(long):
            return short + dtype[len(long) :]
    return dtype


def tokens(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """What a check of types can see of a call, hashable; None where that is not known."""
    found = [_reader(type(value))(value) for value in args]
    for name, value in kwargs.items():
        found += (name, _reader(type(value))(value))
    return None if None in found else tuple(found)


@cache
def _reader(kind: type) -> Callable[[Any], Any]:
    """How the check sees a value of this type: its type alone, the value itself, or shape and dtype."""
    if kind in (int, float, types.FunctionType):
        return lambda value: kind
    if kind in (str, bool, types.NoneType) or issubclass(kind, type):
        return lambda value: (kind, value)
    if issubclass(kind, Tracer):
        return lambda value: _array_token(value) if all(type(n) is int for n in value.shape) else None
    if kind is np.ndarray:
        return lambda value: None if is_cut_off(value) else (kind, value.shape, value.dtype)
    if issubclass(kind, jax.Array):
        return _array_token
    if kind is tuple:
        return lambda value: tokens(value, {}) if len(value) <= 8 else None
    return lambda value: None


def _array_token(value: jax.Array) -> Any:
    return (type(value), value.shape, value.dtype) if explicit_mesh((value,)) is None else None
