"""Whose fault an exception is: a rule that a config or a flag breaks, or a bug."""

import contextlib
import dis
import os
import re
import site
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import fjdl
from fjdl.errors import FjdlError, UsageError

LIBRARY = str(Path(fjdl.__file__).parent)
INSTALLED = tuple({*site.getsitepackages(), *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))})

WRONG_CALL = re.compile("unexpected keyword argument|multiple values for argument|(required|positional).* argument")


@contextlib.contextmanager
def users_mistakes() -> Iterator[None]:
    """Inside, what the library or the user's own code refuses becomes a `UsageError` of one sentence.

    That is a `ValueError` or `TypeError` of a `raise` in fjdl or outside of installed packages, and a call with wrong
    arguments that fjdl itself does not make. Everything else passes through: an exception of Python, NumPy or JAX is a
    bug, here or in the config, and its traceback must be seen. The block belongs around what judges a config and flags
    for the first time; nothing outside of it is taken for the user's mistake.
    """
    try:
        yield
    except FjdlError:
        raise
    except (ValueError, TypeError) as error:
        if os.environ.get("FJDL_TRACEBACK") or not _refused(error):
            raise
        raise UsageError(f"{error} (FJDL_TRACEBACK=1 shows where)") from error


def _refused(error: ValueError | TypeError) -> bool:
    place = _innermost(error.__traceback__)
    if place is None:
        return False
    code = place.tb_frame.f_code
    ours = code.co_filename.startswith(LIBRARY + os.sep)
    if isinstance(error, TypeError) and WRONG_CALL.search(str(error)):
        return not ours
    raised = dis.opname[code.co_code[place.tb_lasti]] == "RAISE_VARARGS"
    return raised and (ours or not code.co_filename.startswith((*INSTALLED, "<")))


def _innermost(traceback: TracebackType | None) -> TracebackType | None:
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback
