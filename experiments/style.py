"""Prints a mirror of the code's style, folder by folder: python -m experiments.style."""

import ast
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from experiments.command import run_guarded

PACKAGE = Path(__file__).resolve().parent.parent / "fjdl"
HEADER = ("folder", "functions", "median", "p90", "docstring", "annotated", "keyword-only", "files", "longest file")


class Function(NamedTuple):
    """What the mirror shows of one function."""

    body: int  # lines without signature and docstring
    public: bool  # no name on the way to it starts with an underscore, and it is in no other function
    documented: bool
    annotated: bool
    options: int  # arguments with a default
    named_options: int  # those that must be passed by name


def functions(tree: ast.AST, *, public: bool = True) -> Iterator[Function]:
    """All functions in the order of the source, those inside of classes and functions too; overloads are types."""
    for node in ast.iter_child_nodes(tree):
        inner = public and not getattr(node, "name", "").startswith("_")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if any(ast.unparse(decorator) == "overload" for decorator in node.decorator_list):
                continue
            yield _measure(node, public=inner)
            inner = False
        yield from functions(node, public=inner)


def _measure(node: ast.FunctionDef | ast.AsyncFunctionDef, *, public: bool) -> Function:
    documented = ast.get_docstring(node) is not None
    body = node.body[documented:]
    arguments = node.args
    given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    typed = [argument for argument in given if argument.annotation or argument.arg in ("self", "cls")]
    named = sum(default is not None for default in arguments.kw_defaults)
    return Function(
        body=(body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0,
        public=public,
        documented=documented,
        annotated=len(typed) == len(given) and node.returns is not None,
        options=named + len(arguments.defaults),
        named_options=named,
    )


def summary(folder: str, files: Sequence[Path]) -> tuple[str, ...]:
    """One row of the table; shares are of public functions, and of all their arguments with a default."""
    found = [function for file in files for function in functions(ast.parse(file.read_text()))]
    public = [function for function in found if function.public]
    bodies = sorted(function.body for function in found)
    lines = {file: len(file.read_text().splitlines()) for file in files}
    longest = max(files, key=lambda file: lines[file])
    return (
        folder,
        str(len(found)),
        f"{statistics.median(bodies):g}" if bodies else "-",
        str(bodies[min(len(bodies) * 9 // 10, len(bodies) - 1)]) if bodies else "-",
        _share(sum(function.documented for function in public), len(public)),
        _share(sum(function.annotated for function in public), len(public)),
        _share(sum(f.named_options for f in public), sum(f.options for f in public)),
        str(len(files)),
        f"{longest.name} {lines[longest]}",
    )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "-"


def table(package: Path) -> str:
    """A row for each folder of the package, "." for its own files, and one for all."""
    files = sorted(package.rglob("*.py"))
    folders = sorted({file.relative_to(package).parts[:-1] for file in files})
    rows = [HEADER]
    rows += [summary("/".join(f) or ".", [p for p in files if p.relative_to(package).parts[:-1] == f]) for f in folders]
    rows.append(summary("all", files))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def main() -> None:
    """Prints the table."""
    print(table(PACKAGE))


if __name__ == "__main__":
    run_guarded(main)
