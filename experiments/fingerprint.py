"""A hash of what Python code says, the same for every version of Python; it needs nothing but the standard library."""

import ast
import hashlib
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# Expressions of the configs here, each with the one in whose place it came: recorded runs are the same with either.
_EARLIER = {
    "Literal['float32', 'tensorfloat32', 'bfloat16', 'float16']": "Literal['float32', 'bfloat16']",
    "Literal['float32', 'tensorfloat32', 'bfloat16']": "Literal['float32', 'bfloat16']",
    "jnp.bfloat16 if precision == 'bfloat16' else jnp.float32": "jnp.dtype(precision)",
}
_IGNORED = frozenset({"ctx", "kind", "type_comment", "type_ignores"})  # no effect, or said by the place


def fingerprint(source: str | bytes) -> str:
    """The sha256 of the code: comments, layout, docstrings and the order of imports side by side do not count.

    Versions of Python parse the same text into trees that differ in empty fields and in the pieces of f-strings; here
    empty fields are left out, and the constant pieces of an f-string are joined. A new value that an argument may have
    does not count where the old ones do what they did. Raises `SyntaxError`.
    """
    return _sha256(_form(_parsed(source)))


def earlier_fingerprints(source: str | bytes) -> set[str]:
    """The hashes under which the code may stand in older run directories: those of `ast.dump`, which changes.

    They cover the dumps of this version of Python and of those before it back to 3.11.
    """
    code = _parsed(source)
    if ast.get_docstring(code) is not None:
        code.body = code.body[1:]
    dumps = {ast.dump(code)}
    if sys.version_info >= (3, 13):
        dumps.add(ast.dump(code, show_empty=True))
    return {_sha256(text) for dump in dumps for text in (dump, dump.replace(", type_params=[]", ""))}


def same_code(path: Path, sha256: str) -> bool:
    """Whether the file is there and its code is that of a hash, of today or of an older version."""
    if not path.is_file():
        return False
    try:
        return sha256 in {fingerprint(path.read_bytes()), *earlier_fingerprints(path.read_bytes())}
    except SyntaxError:
        return False


def _parsed(source: str | bytes) -> ast.Module:
    """The code with every expression in whose place another came since put back."""

    class PutBack(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            earlier = _EARLIER.get(ast.unparse(node)) if isinstance(node, ast.Subscript | ast.IfExp) else None
            return ast.parse(earlier, mode="eval").body if earlier else self.generic_visit(node)

    return PutBack().visit(ast.parse(source))


def _form(node: Any) -> str:
    if isinstance(node, ast.JoinedStr):
        return f"JoinedStr({', '.join(_joined(node))})"
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if name not in _IGNORED)
        shown = (f"{name}={_form(value)}" for name, value in fields if value is not None and value != [])
        return f"{type(node).__name__}({', '.join(shown)})"
    if isinstance(node, list):
        return f"[{', '.join(_statements(node))}]"
    if isinstance(node, int):
        return f"{type(node).__name__} {int(node):#x}"  # decimals of a great number are refused
    return ascii(node)  # which characters repr() escapes depends on the version


def _statements(nodes: Sequence[Any]) -> Iterator[str]:
    """The forms of a list: of statements, those that do something, each run of imports in alphabetical order."""
    kept = [node for node in nodes if not (isinstance(node, ast.Expr) and _is_text(node.value))]
    for imports, run in itertools.groupby(kept, key=lambda node: isinstance(node, ast.Import | ast.ImportFrom)):
        forms = [form for node in run for form in (_bindings(node) if imports else (_form(node),))]
        yield from sorted(forms) if imports else forms


def _bindings(node: Any) -> Iterator[str]:
    origin = f"from {'.' * node.level}{node.module or ''} " if isinstance(node, ast.ImportFrom) else ""
    return (f"{origin}import {alias.name} as {alias.asname}" for alias in node.names)


def _joined(node: ast.JoinedStr) -> Iterator[str]:
    """The pieces of an f-string: neighbouring texts as one, empty ones left out, nested strings in their place."""
    for text, run in itertools.groupby(_pieces(node), key=_is_text):
        if not text:
            yield from map(_form, run)
        elif whole := "".join(piece.value for piece in run):
            yield ascii(whole)


def _pieces(node: ast.JoinedStr) -> Iterator[Any]:
    for piece in node.values:
        yield from _pieces(piece) if isinstance(piece, ast.JoinedStr) else (piece,)


def _is_text(node: Any) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
