"""Array types with shapes, and `@typed`, which checks them when a function is traced."""

import functools
import inspect
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import jax
import jax.export
import numpy as np
from beartype import BeartypeConf, FrozenDict, beartype
from jaxtyping import Bool, Float, Inexact, Int, Integer, Key, Num, PyTree, Shaped, TypeCheckError, UInt8, jaxtyped

from fjdl.calls import bind, converters, expected, received, takes_arrays, tokens
from fjdl.explicit import explicit_mesh, with_named_axes
from fjdl.integers import require_kept

if TYPE_CHECKING:
    from jax import Array
else:
    Array = jax.Array | np.ndarray

__all__ = [
    "Array", "Bool", "Float", "Inexact", "Int", "Integer", "Key", "Num", "Number", "PRNGKey", "PyTree", "Scalar",
    "Shaped", "UInt8", "typed",
]  # fmt: skip

PRNGKey = Key[jax.Array, ""]
Scalar = Float[Array, ""]
Number = float | Scalar  # a traced one is learned or scheduled

F = TypeVar("F", bound=Callable[..., Any])

_MOST_REMEMBERED = 1024

# An int is a fine float, and so is a dimension whose size `jax.export` leaves open a fine int.
_Dimension = type(jax.export.symbolic_shape("n")[0])
_CHECKER = beartype(conf=BeartypeConf(is_pep484_tower=True, hint_overrides=FrozenDict({int: int | _Dimension})))


def typed(function: F) -> F:
    """Checks every annotated argument and the result, shapes included, at trace time.

    A violation raises one `ValueError` that names the function, the argument, the expected type and what was received;
    arguments that the function does not have raise a `CallError`, which is a `TypeError` as well. A NumPy scalar is a
    number, a vector of NumPy a sequence of numbers, and a key of `jax.random.PRNGKey` a key. An integer of NumPy that
    JAX would cut off to 32 bits is refused, in an array or in an entry of a tuple. Under `jax.jit` the check
    runs once per compilation; a second eager call with arguments of the same types, shapes and dtypes skips it. Arrays
    that are sharded over explicit axes of a mesh are taken as `fjdl.explicit` says.
    """
    check = _Check(function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if tokens(args, kwargs) in check.right:
            return function(*args, **kwargs)
        return check(args, kwargs)

    check.public = call
    return call  # type: ignore[return-value]


class _Check:
    """The check of a function's calls, built at the first one, and the kinds of calls that it found right."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = self.public = function
        self.right: set[Any] = set()

    @property
    def name(self) -> str:
        """The name in sentences: of a function within others without those that are private."""
        parts = self.public.__qualname__.split(".<locals>.")
        return ".".join(part for part in parts if not part.startswith("_")) or parts[-1]

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        return inspect.signature(self.function)

    @functools.cached_property
    def converters(self) -> dict[str, Callable[[Any], Any]]:
        return converters(self.signature)

    @functools.cached_property
    def checked(self) -> Callable[..., Any]:
        return jaxtyped(typechecker=_CHECKER)(self.function)

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        bound = bind(self.name, self.signature, args, kwargs)
        same = True
        for name in bound.arguments.keys() & self.converters.keys():
            given = bound.arguments[name]
            bound.arguments[name] = self.converters[name](given)
            same &= bound.arguments[name] is given
        for name, value in bound.arguments.items():
            require_kept(name, value, sentence=f"{self.name}: argument `{{}}`")
        try:
            mesh = explicit_mesh((*bound.args, *bound.kwargs.values()))
            if mesh is not None:
                return with_named_axes(self.checked, self.signature, mesh, *bound.args, **bound.kwargs)
            result = self.checked(*bound.args, **bound.kwargs)
        except TypeCheckError as error:
            raise ValueError(self._sentence(str(error), bound.arguments)) from None
        if same:
            self._remember(tokens(args, kwargs))
        return result

    def _remember(self, call: tuple[Any, ...] | None) -> None:
        if len(self.right) >= _MOST_REMEMBERED:
            self.right.clear()
        if call is not None:
            self.right.add(call)

    def _sentence(self, report: str, given: dict[str, Any]) -> str:
        """Condenses jaxtyping's report of several paragraphs to one sentence."""
        name = re.search(r"parameter '(\w+)'", report)
        if name:
            subject, hint = f"argument `{name[1]}`", self.signature.parameters[name[1]].annotation
            value = received(given[name[1]])
        else:
            subject, hint, value = "the result", self.signature.return_annotation, _actual(report)
        axes = re.findall(r"^(\w+=\S.*)$", report.partition("axis annotation are as follows.")[2], flags=re.MULTILINE)
        shapes = f" with {', '.join(axes)}" if axes and takes_arrays(hint) else ""
        remedy = ", which `jnp.asarray` makes an array" if name and takes_arrays(hint) and value[0] == "[" else ""
        return f"{self.name}: {subject} must be {expected(hint)}{shapes}, got {value}{remedy}"


def _actual(report: str) -> str:
    found = re.search(r"^Actual value: (.*?)\.?$", report, flags=re.MULTILINE)
    return found[1].replace("(jax)", "").replace("(numpy)", "") if found else "unknown"
