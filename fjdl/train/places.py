"""Which line of which file, and which module, an operation of a traced program comes from."""

import re
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fjdl

_LIBRARY = str(Path(fjdl.__file__).parent)
_TRAINER = f"{_LIBRARY}/train/"
_TASKS = f"{_TRAINER}tasks/"
_INSTALLED = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
_SOURCE = re.compile(r" at (.*):\d+$")  # in what JAX tells of a traced function
_TRANSFORMED = re.compile(r"\b(?:transpose|jvp|vmap|remat|checkpoint|rematted_computation)\(([^()]*)\)")


def module_of(eqns: Sequence[Any]) -> tuple[str, bool]:
    """The path of named scopes around the last of these operations, each inside of the one before.

    Beside it stands whether it was made by transposing a linear function, as in gradients.
    """
    whole = "/".join(filter(None, (str(eqn.source_info.name_stack) for eqn in eqns)))
    path = whole
    while (shorter := _TRANSFORMED.sub(r"\1", path)) != path:
        path = shorter
    return "/".join(filter(None, path.split("/"))), "transpose(" in whole


def place_of(stack: Sequence[tuple[Any, Any]]) -> str:
    """The line that asked for an operation, by it and those around it, each with the program that it stands in.

    JAX keeps the program of a function that it has traced before, with the lines of its first call. So a program of a
    function of JAX or Flax says nothing, and the operation that called it does. Where a line of the library was asked
    by one of the user, both are told.
    """
    for eqn, program in reversed(stack):
        if not _is_installed(_file_of(program)):
            return _line(eqn)
    return _line(stack[0][0])


def _line(eqn: Any) -> str:
    trace = eqn.source_info.traceback
    ours = ""
    for frame in trace.frames if trace else ():
        name = frame.file_name
        if name.startswith(_TRAINER) and not name.startswith(_TASKS):
            break
        if name.startswith(_LIBRARY):
            ours = ours or _told(frame)
        elif not _is_installed(name):
            return f"{ours}, called at {_told(frame)}" if ours else _told(frame)
    return ours


def _told(frame: Any) -> str:
    name = frame.file_name
    short = str(Path(name).relative_to(Path(_LIBRARY).parent)) if name.startswith(_LIBRARY) else name
    return f"{short}:{frame.line_num} in {frame.function_name}"


def _file_of(program: Any) -> str:
    """The file of the function that a program was traced from, "" where it is not told."""
    found = _SOURCE.search(str(getattr(program.debug_info, "func_src_info", "")))
    return found[1] if found else ""


def _is_installed(name: str) -> bool:
    return not name.startswith(_LIBRARY) and (name.startswith((*_INSTALLED, "<")) or "site-packages" in name)
