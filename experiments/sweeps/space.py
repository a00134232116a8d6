"""Flags such as `learning_rate=1e-4:1e-1` as spaces of a config's arguments."""

import difflib
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from fjdl import search
from fjdl.errors import UsageError

DRAWN = ("log_uniform", "uniform", "integers", "choices")  # flags of ranges and of values to draw from


class Space(NamedTuple):
    """The points that a sweep may try: a grid of values, or what they are drawn from."""

    grid: dict[str, list[Any]]
    drawn: dict[str, Any]  # spaces of fjdl.search

    @property
    def names(self) -> list[str]:
        """The arguments that are varied."""
        return list(self.grid or self.drawn)

    def described(self) -> dict[str, Any]:
        """What a sweep records of it, in types of JSON."""
        kinds = {name: {type(each).__name__: list(each)} for name, each in self.drawn.items()}
        return {"grid": self.grid} if self.grid else {"drawn": kinds}


def read_space(build: Callable[..., Any], flags: Mapping[str, Sequence[str]]) -> Space:
    """The space that the flags `grid`, `log_uniform`, `uniform`, `integers` and `choices` name.

    Raises `UsageError` for what is no argument of the config, a value of another type, one name twice, or none at all.
    """
    kinds = {
        name: parameter.annotation for name, parameter in inspect.signature(build, eval_str=True).parameters.items()
    }
    found: dict[str, dict[str, Any]] = {"grid": {}, "drawn": {}}
    for flag in ("grid", *DRAWN):
        for text in flags[flag]:
            name, written = _named(flag, text)
            _require_argument(name, kinds)
            if name in found["grid"] or name in found["drawn"]:
                raise UsageError(f"{name} must be varied by one flag, got it twice")
            if flag in ("grid", "choices"):
                values = [value_of(each, kinds[name], name) for each in written.split(",")]
                found["grid" if flag == "grid" else "drawn"][name] = values if flag == "grid" else search.choice(values)
            else:
                found["drawn"][name] = _range(flag, name, written, kinds[name])
    if bool(found["grid"]) == bool(found["drawn"]):
        raise UsageError(
            "a sweep varies arguments by --grid, or by --random with --log-uniform, --uniform, --integers, --choices, "
            f"got {'both' if found['grid'] else 'neither'}"
        )
    return Space(found["grid"], found["drawn"])


def value_of(text: str, kind: Any, name: str) -> Any:
    """The value that a text stands for, by the annotation of its argument; raises `UsageError` for another type."""
    kinds = [each for each in _alternatives(kind) if each is not type(None)]
    if len(kinds) < len(_alternatives(kind)) and text.lower() == "none":
        return None
    for each in kinds:
        if get_origin(each) is Literal and text in map(str, get_args(each)):
            return next(value for value in get_args(each) if str(value) == text)
        if each is bool and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if each in (int, float, str):
            try:
                return each(text)
            except ValueError:
                continue
    raise UsageError(f"{name} must be {' or '.join(map(_shown, kinds))}, got {text!r}")


def _named(flag: str, text: str) -> tuple[str, str]:
    name, equals, written = text.partition("=")
    if not (name and equals and written):
        form = "name=value,value" if flag in ("grid", "choices") else "name=low:high"
        raise UsageError(f"--{flag.replace('_', '-')} takes {form}, got {text!r}")
    return name.replace("-", "_"), written


def _require_argument(name: str, kinds: Mapping[str, Any]) -> None:
    if name in ("seed", "epochs"):
        way = "--seeds trains each point from several" if name == "seed" else "--epochs is the same for all trials"
        raise UsageError(f"{name} is not varied, {way}")
    if name not in kinds:
        near = difflib.get_close_matches(name, kinds, n=1)
        hint = f", did you mean {near[0]}?" if near else ""
        raise UsageError(f"{name} is no argument of the config, which has {', '.join(sorted(kinds))}{hint}")


def _range(flag: str, name: str, written: str, kind: Any) -> Any:
    low, colon, high = written.partition(":")
    wanted = int if flag == "integers" else float
    if wanted not in _alternatives(kind):
        other = "--integers" if int in _alternatives(kind) else "--choices or --grid"
        raise UsageError(f"--{flag.replace('_', '-')} is for {_shown(wanted)}s, {name} is {_shown(kind)}: use {other}")
    if not colon:
        raise UsageError(f"{name} must have a range low:high, got {written!r}")
    factory: Any = {"log_uniform": search.log_uniform, "uniform": search.uniform, "integers": search.integer}[flag]
    try:
        return factory(value_of(low, wanted, name), value_of(high, wanted, name))
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from error


def _alternatives(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def _shown(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return f"one of {list(get_args(kind))}"
    names = {int: "whole number", float: "number", bool: "true or false", str: "text"}
    return names.get(kind, str(kind))
