"""Where a function of arrays stops being finite: it is evaluated one operation at a time."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import eval_jaxpr

from fjdl.train.places import module_of, place_of
from fjdl.tree import names, whole_name

_CALLS = frozenset(  # operations that are functions of their own, of the same arguments
    {"jit", "pjit", "closed_call", "core_call", "checkpoint", "remat", "remat2"}
    | {"custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr"}
)


class Cause(NamedTuple):
    """An operation whose result is not finite while what it was given is."""

    operation: str  # JAX's name of it, or "argument" for what the function was given
    result: str  # "NaN" or "infinity"
    inputs: tuple[str, ...]  # dtype, shape and range of each array it was given
    module: str  # the path of modules and named scopes around it, "" outside of them
    place: str  # file, line and function that asked for it, "" where none is known
    derivative: bool  # whether it belongs to the gradient alone

    def __str__(self) -> str:
        if self.operation == "argument":
            return f"{self.place} holds {self.result} before any operation"
        of = f" of {' and '.join(self.inputs)}" if self.inputs else ""
        where = ", ".join(filter(None, (self.module and f"module {self.module}", self.place)))
        return (
            f"{self.operation}{of} gives {self.result}{' in the gradient' * self.derivative}{where and f' ({where})'}"
        )


class Found(NamedTuple):
    """A result that is not finite."""

    name: str  # its path
    cause: Cause
    distance: int  # operations between the cause and the result


def not_finite(function: Callable[..., Any], *args: Any, arguments: Sequence[str] = ()) -> list[Found]:
    """The results of `function(*args)` that are not finite, each with the operation that began it.

    Results and arguments are trees of arrays; `arguments` are names for the latter. What a later operation drops, as
    `where` does with what it does not choose, is no cause, and neither is an infinity that the program holds as a
    constant, such as that of a mask, unless nothing else is. The operations are those of `jax.make_jaxpr`, evaluated
    without compiling them together, so a number may differ in its last bits from that of a compiled program; calls,
    loops and choices are looked into where their result is not finite.

    >>> import jax.numpy as jnp
    >>> (found,) = not_finite(lambda x: {"loss": jnp.sum(jnp.log(x))}, jnp.array([1.0, 0.0]))
    >>> found.name, found.cause.operation, found.cause.result, found.cause.inputs
    ('loss', 'log', 'infinity', ('float32[2] from 0 to 1',))
    """
    with jax.transfer_guard("allow"):
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
        called = [arguments[number] if number < len(arguments) else f"argument {number}" for number in range(len(args))]
        values = [
            _given(leaf, whole_name((jax.tree_util.DictKey(name), *path)))
            for name, arg in zip(called, args, strict=True)
            for path, leaf in jax.tree_util.tree_leaves_with_path(arg)
        ]
        results = _Evaluation().run(closed.jaxpr, closed.consts, values, ())
    found = zip(names(shapes), results, strict=True)
    return [
        Found(name or "result", value.origin.cause, value.origin.distance)
        for name, value in found
        if value.origin is not None
    ]


class _Origin(NamedTuple):
    """Where a value that is not finite comes from."""

    cause: Cause
    number: int  # of the operation, in the order in which they are evaluated
    distance: int  # operations since
    constant: bool  # whether it is an infinity that the program holds


class _Value(NamedTuple):
    array: Any
    origin: _Origin | None = None  # None for a value that is finite, and for a constant


class _Evaluation:
    """Evaluates programs, and counts operations."""

    def __init__(self) -> None:
        self._count = 0

    def run(self, jaxpr: Any, consts: Sequence[Any], args: Sequence[_Value], outer: tuple[Any, ...]) -> list[_Value]:
        """The results of a program; `outer` are the operations that it is inside of, with their programs."""
        known: dict[Any, _Value] = dict(zip(jaxpr.constvars, map(_Value, consts), strict=True))
        known.update(zip(jaxpr.invars, args, strict=True))
        last = {var: number for number, eqn in enumerate(jaxpr.eqns) for var in eqn.invars if not _is_literal(var)}
        kept = {var for var in jaxpr.outvars if not _is_literal(var)}

        def read(var: Any) -> _Value:
            return _Value(var.val) if _is_literal(var) else known[var]

        for number, eqn in enumerate(jaxpr.eqns):
            values = [read(var) for var in eqn.invars]
            known.update(zip(eqn.outvars, self._results(eqn, values, (*outer, (eqn, jaxpr))), strict=True))
            for var in {var for var in eqn.invars if not _is_literal(var)}:
                if last[var] == number and var not in kept:
                    del known[var]
        return [read(var) for var in jaxpr.outvars]

    def _results(self, eqn: Any, values: list[_Value], stack: tuple[Any, ...]) -> list[_Value]:
        arrays = _bound(eqn, stack[-1][1], [value.array for value in values])
        self._count += 1
        if all(map(_finite, arrays)):
            return [_Value(array) for array in arrays]
        inside = self._inside(eqn, values, stack) or [None] * len(arrays)
        return [
            _Value(array, None if _finite(array) else (origin or self._origin(values, array, stack)))
            for array, origin in zip(arrays, inside, strict=True)
        ]

    def _origin(self, values: list[_Value], array: Any, stack: tuple[Any, ...]) -> _Origin | None:
        """What made the result of an operation not finite, by what it was given."""
        bad = [value for value in values if not _finite(value.array)]
        before = [value.origin for value in bad if value.origin is not None]
        events = [origin for origin in before if not origin.constant]
        if events:
            first = min(events, key=lambda origin: origin.number)
            return first._replace(distance=first.distance + 1)
        if before and not _has_nan(array):
            return before[0]
        cause = _cause(stack, [value.array for value in values], array)
        return _Origin(cause, self._count, 0, constant=bool(bad) and not _has_nan(array))

    def _inside(self, eqn: Any, values: list[_Value], stack: tuple[Any, ...]) -> list[_Origin | None] | None:
        """The origins of the results of an operation that is made of others, else None."""
        kind, params = eqn.primitive.name, eqn.params
        if kind in _CALLS:
            return self._call(next(params[name] for name in _PROGRAMS if name in params), values, stack)
        if kind == "cond":
            return self._call(params["branches"][int(values[0].array)], values[1:], stack)
        if kind == "while":
            return self._while(params, values, stack)
        if kind == "scan":
            return self._scan(params, values, stack)
        return None

    def _called(self, program: Any, values: Sequence[_Value], stack: tuple[Any, ...]) -> list[_Value]:
        return self.run(getattr(program, "jaxpr", program), getattr(program, "consts", ()), values, stack)

    def _call(self, program: Any, values: Sequence[_Value], stack: tuple[Any, ...]) -> list[_Origin | None]:
        return [value.origin for value in self._called(program, values, stack)]

    def _while(self, params: Any, values: list[_Value], stack: tuple[Any, ...]) -> list[_Origin | None]:
        first, second = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
        carry = values[second:]
        while bool(self._called(params["cond_jaxpr"], [*values[:first], *carry], stack)[0].array):
            carry = self._called(params["body_jaxpr"], [*values[first:second], *carry], stack)
        return [value.origin for value in carry]

    def _scan(self, params: Any, values: list[_Value], stack: tuple[Any, ...]) -> list[_Origin | None]:
        consts, carry, rows = _parts_of_scan(params, values)
        number_carried, made = len(carry), list[list[_Value]]()
        for number in range(params["length"])[:: -1 if params["reverse"] else 1]:
            row = [value._replace(array=value.array[number]) for value in rows]
            results = self._called(params["jaxpr"], [*consts, *carry, *row], stack)
            carry = results[:number_carried]
            made.append(results[number_carried:])
        origins = [next((value.origin for value in column if value.origin), None) for column in zip(*made, strict=True)]
        return [*(value.origin for value in carry), *origins]


_PROGRAMS = ("jaxpr", "call_jaxpr", "fun_jaxpr")


def _parts_of_scan(params: Any, values: list[_Value]) -> list[list[_Value]]:
    """What a scan holds, carries, and goes through row by row; JAX 0.10 has their numbers, 0.12 a tree of them."""
    if "ft_in" in params:
        return list(map(list, params["ft_in"].update(values).unpack()))
    first, second = params["num_consts"], params["num_consts"] + params["num_carry"]
    return [values[:first], values[first:second], values[second:]]


def _bound(eqn: Any, program: Any, arrays: Sequence[Any]) -> list[Any]:
    """The results of one operation of a program."""
    given = {var: array for var, array in zip(eqn.invars, arrays, strict=True) if not _is_literal(var)}
    alone = program.replace(eqns=[eqn], constvars=[], invars=[*given], outvars=eqn.outvars)
    try:
        return list(eval_jaxpr(alone, [], *given.values()))
    except NotImplementedError:  # an operation that exists in compiled programs alone
        return list(jax.jit(partial(eval_jaxpr, alone, []))(*given.values()))


def _given(leaf: Any, name: str) -> _Value:
    if _finite(leaf):
        return _Value(leaf)
    return _Value(leaf, _Origin(Cause("argument", _kind(leaf), (), "", name, derivative=False), 0, 0, constant=False))


def _cause(stack: tuple[Any, ...], inputs: Sequence[Any], array: Any) -> Cause:
    module, derivative = module_of([eqn for eqn, _ in stack])
    told = tuple(_shown(value) for value in inputs if _is_number(value))
    return Cause(stack[-1][0].primitive.name, _kind(array), told, module, place_of(stack), derivative)


def _shown(array: Any) -> str:
    values = np.asarray(array)
    about = f"{values.dtype.name}[{','.join(map(str, values.shape))}]"
    if not values.size or not _is_real(values):
        return about
    low, high = float(values.min()), float(values.max())
    return f"{about} from {low:.4g} to {high:.4g}" if values.ndim else f"{values.dtype.name} {low:.4g}"


def _is_literal(var: Any) -> bool:
    return hasattr(var, "val")


def _is_number(value: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(value), jnp.number)


def _is_real(value: Any) -> bool:
    return not jnp.issubdtype(value.dtype, jnp.complexfloating)


def _tested(test: Callable[[Any], Any], value: Any) -> Iterator[bool]:
    if jnp.issubdtype(jnp.result_type(value), jnp.inexact):
        yield bool(test(np.asarray(value)).any())


def _finite(value: Any) -> bool:
    return not any(_tested(lambda array: ~np.isfinite(array), value))


def _has_nan(value: Any) -> bool:
    return any(_tested(np.isnan, value))


def _kind(value: Any) -> str:
    return "NaN" if _has_nan(value) else "infinity"
