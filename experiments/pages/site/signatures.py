"""Signatures as the source has them; classes of the library by their whole names, which Sphinx links and shortens."""

import ast
import copy
import dataclasses
import importlib
import inspect
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def signature(thing: Any) -> tuple[str, str] | None:
    """The arguments in brackets and the type of the result, or None where the library's source does not say them."""
    if inspect.isclass(thing):
        return _of_class(thing)
    node = definition(inspect.unwrap(thing)) if callable(thing) else None
    if node is None or isinstance(node, ast.ClassDef):
        return None
    return _of_function(node, inspect.unwrap(thing).__module__)


def definition(thing: Any) -> Definition | None:
    """The node that defines a function or class of the library."""
    home, name = getattr(thing, "__module__", None) or "", getattr(thing, "__qualname__", "")
    if not home.startswith("fjdl.") or "<" in name:
        return None
    return _definitions(home).get(name)


@cache
def _definitions(home: str) -> dict[str, Definition]:
    return dict(_inside(ast.parse(inspect.getsource(importlib.import_module(home))), ""))


def _inside(node: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, Definition]]:
    for child in node.body:
        if isinstance(child, Definition):
            yield f"{prefix}{child.name}", child
        if isinstance(child, ast.ClassDef):
            yield from _inside(child, f"{prefix}{child.name}.")


def _of_function(node: ast.FunctionDef | ast.AsyncFunctionDef, home: str) -> tuple[str, str]:
    """All arguments but the object or the class that a method belongs to."""
    arguments = copy.deepcopy(node.args)
    plain = arguments.posonlyargs or arguments.args
    if plain and plain[0].arg in ("self", "cls"):
        plain.pop(0)
    for argument in ast.walk(arguments):
        if isinstance(argument, ast.arg) and argument.annotation is not None:
            argument.annotation = _whole(argument.annotation, home)
    return f"({ast.unparse(arguments)})", ast.unparse(_whole(node.returns, home)) if node.returns else ""


class _Classes(ast.NodeTransformer):
    """Puts the whole name in place of the name of a class of the library."""

    def __init__(self, home: str) -> None:
        self.known = vars(importlib.import_module(home))

    def visit_Name(self, node: ast.Name) -> ast.expr:
        """The node of the whole name."""
        thing = self.known.get(node.id)
        if not isinstance(thing, type) or not thing.__module__.startswith("fjdl."):
            return node
        return ast.parse(f"{thing.__module__}.{thing.__qualname__}", mode="eval").body


def _whole(annotation: ast.expr, home: str) -> ast.expr:
    return _Classes(home).visit(copy.deepcopy(annotation))


def _of_class(thing: type) -> tuple[str, str] | None:
    """What makes one: the arguments of its own `__new__` or `__init__`, or its fields in the order of inheritance."""
    node = definition(thing)
    if node is None:
        return None
    for made_by in ("__new__", "__init__"):
        for child in node.body:
            if isinstance(child, ast.FunctionDef) and child.name == made_by:
                return _of_function(child, thing.__module__)[0], ""
    found = fields(thing)
    if not found:
        return None
    by_name = ["*"] if _by_name_only(thing, found) else []
    return f"({', '.join([*by_name, *(field.text for field in found)])})", ""


class Field(NamedTuple):
    """A field of a class: how its signature has it, and the comment behind it."""

    name: str
    text: str
    comment: str


def fields(thing: type) -> list[Field]:
    """The public fields that a class and those below it declare, in the order of inheritance."""
    found = {field.name: field for base in reversed(thing.__mro__) for field in _declared(base)}
    return list(found.values())


def _declared(base: type) -> Iterator[Field]:
    node = definition(base)
    for child in node.body if isinstance(node, ast.ClassDef) else ():
        if isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name) and child.target.id[0] != "_":
            kind = ast.unparse(_whole(child.annotation, base.__module__))
            default = "" if child.value is None else f" = {ast.unparse(child.value)}"
            if not kind.startswith("ClassVar"):
                yield Field(child.target.id, f"{child.target.id}: {kind}{default}", _comment(base, child))


def _comment(base: type, node: ast.AnnAssign) -> str:
    line = _lines(base.__module__)[(node.end_lineno or node.lineno) - 1]
    before, mark, comment = line.encode()[node.end_col_offset or 0 :].decode().partition("#")
    return comment.strip() if mark and not before.strip() else ""


@cache
def _lines(home: str) -> list[str]:
    return inspect.getsource(importlib.import_module(home)).splitlines()


def _by_name_only(thing: type, found: Sequence[Field]) -> bool:
    """Whether the fields are given by name: so declared, or one without a default follows one that has it."""
    fields_of_it = dataclasses.fields(thing) if dataclasses.is_dataclass(thing) else ()
    declared = any(field.kw_only for field in fields_of_it if field.name == found[0].name)
    open_ones = [" = " not in field.text for field in found]
    return declared or open_ones != sorted(open_ones, reverse=True)
