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

from fjdl.explicit import explicit_mesh, with_named_axes
from fjdl.integers import is_cut_off, require_kept

if TYPE_CHECKING:
    from jax import Array
else:
    Array = jax.Array | np.ndarray

__all__ = [
    "Array", "Bool", "Float", "Inexact", "Int", "Integer", "Key", "Num", "PRNGKey", "PyTree", "Scalar",
    "Shaped", "UInt8", "typed",
]  # fmt: skip

PRNGKey = Key[jax.Array, ""]
Scalar = Float[Array, ""]

F = TypeVar("F", bound=Callable[..., Any])

# An int is a fine float, and so is a dimension whose size `jax.export` leaves open a fine int.
_Dimension = type(jax.export.symbolic_shape("n")[0])
_CHECKER = beartype(conf=BeartypeConf(is_pep484_tower=True, hint_overrides=FrozenDict({int: int | _Dimension})))


def typed(function: F) -> F:
    """Checks every annotated argument and the result, shapes included, at trace time.

    A violation raises one `ValueError` that names the function, the argument, the expected type and what was received.
    So does a NumPy array, or an entry of a tuple, with an integer that JAX would cut off to 32 bits.
    Under `jax.jit` the check runs once per compilation and costs nothing afterwards. Arrays that are sharded over
    explicit axes of a mesh are taken as `fjdl.explicit` says.
    """
    checked = jaxtyped(typechecker=_CHECKER)(function)
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if any(is_cut_off(value) for value in (*args, *kwargs.values())):
            _refuse_cut_off(function, args, kwargs)
        try:
            mesh = explicit_mesh((*args, *kwargs.values()))
            if mesh is not None:
                return with_named_axes(checked, signature, mesh, *args, **kwargs)
            return checked(*args, **kwargs)
        except TypeCheckError as error:
            raise ValueError(_one_sentence(function.__qualname__, str(error))) from None

    return call  # type: ignore[return-value]


def _refuse_cut_off(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    rest = code.co_varnames[code.co_argcount + code.co_kwonlyargcount] if code.co_flags & inspect.CO_VARARGS else "args"
    surplus = [f"{rest}[{i}]" for i in range(len(args) - len(names))]
    for name, value in [*zip([*names, *surplus], args, strict=False), *kwargs.items()]:
        require_kept(name, value, sentence=f"{function.__qualname__}: argument `{{}}`")


def _one_sentence(function: str, report: str) -> str:
    """Condenses jaxtyping's report of several paragraphs to one sentence."""
    argument = re.search(r"parameter '(\w+)'", report)
    subject = f"argument `{argument[1]}`" if argument else "the result"
    expected = re.sub(r"<class '(.*)'>|typing\.", r"\1", _field(report, "Expected type"))
    expected = " or ".join(dict.fromkeys(re.findall(r"\w+\[[^\[\]]*'[^']*'\]", expected))) or expected
    expected = re.sub(r"jaxlib\._jax\.Array|ndarray", "Array", expected)
    expected = " or ".join(dict.fromkeys(expected.split(" or ")))
    axes = re.findall(r"^(\w+=\S.*)$", report.partition("axis annotation are as follows.")[2], flags=re.MULTILINE)
    given = f" with {', '.join(axes)}" if axes else ""
    return f"{function}: {subject} must be {expected}{given}, got {_field(report, 'Actual value')}"


def _field(report: str, name: str) -> str:
    found = re.search(rf"^{name}: (.*?)\.?$", report, flags=re.MULTILINE)
    return found[1].replace("(jax)", "").replace("(numpy)", "") if found else "unknown"
