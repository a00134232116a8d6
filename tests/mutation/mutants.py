"""The mutants of a module: each differs from it in one operator, comparison, number, term or order of arguments."""

import ast
from collections.abc import Callable, Iterator
from typing import NamedTuple

OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.And: ast.Or, ast.Or: ast.And, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
FUNCTIONS = {"maximum": "minimum", "minimum": "maximum", "sum": "mean", "mean": "sum", "max": "min", "min": "max"}


class Mutant(NamedTuple):
    line: int
    before: str
    after: str
    tree: ast.Module


def mutants(source: str) -> list[Mutant]:
    """All mutants of a module's source, in the order of its nodes."""
    count = sum(len([*_changes(node)]) for node in _nodes(ast.parse(source)))
    return [_mutant(source, number) for number in range(count)]


def _mutant(source: str, number: int) -> Mutant:
    tree = ast.parse(source)
    node, change = [(node, change) for node in _nodes(tree) for change in _changes(node)][number]
    before = ast.unparse(node)
    change()
    return Mutant(node.lineno, before, ast.unparse(node), ast.fix_missing_locations(tree))


def _nodes(tree: ast.AST) -> Iterator[ast.expr]:
    """Expressions that compute: no annotations, and nothing inside of `raise` or a decorator."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list") or isinstance(tree, ast.Raise):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.expr):
                yield child
            if isinstance(child, ast.AST):
                yield from _nodes(child)


def _changes(node: ast.expr) -> Iterator[Callable[[], object]]:
    match node:
        case ast.BinOp() | ast.BoolOp() if type(node.op) in OPERATORS:
            yield lambda: setattr(node, "op", OPERATORS[type(node.op)]())
            if isinstance(node.op, ast.Add | ast.Sub):
                yield lambda: setattr(node, "right", ast.Constant(0))
        case ast.Compare(ops=[operator]) if type(operator) in OPERATORS:
            yield lambda: node.ops.__setitem__(0, OPERATORS[type(operator)]())
        case ast.UnaryOp(op=ast.USub()):
            yield lambda: setattr(node, "op", ast.UAdd())
        case ast.UnaryOp(op=ast.Not()):
            yield lambda: setattr(node, "operand", ast.UnaryOp(ast.Not(), node.operand))
        case ast.Constant(value=bool(value)):
            yield lambda: setattr(node, "value", not value)
        case ast.Constant(value=int(value) | float(value)):
            yield lambda: setattr(node, "value", value + 1)
        case ast.Call(func=ast.Attribute(attr=name)) if name in FUNCTIONS:
            yield lambda: setattr(node.func, "attr", FUNCTIONS[name])
        case ast.Call(args=[first, second, *_]) if ast.dump(first) != ast.dump(second):
            yield lambda: node.args.__setitem__(slice(0, 2), [second, first])
