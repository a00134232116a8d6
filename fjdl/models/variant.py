"""Variants of a network: functions that show their own signature and document what they change."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from fjdl.calls import bind

if TYPE_CHECKING:
    variant = partial  # whose remaining arguments type checkers and editors know
else:

    def variant(network: Callable[..., Any], /, *args: Any, **defaults: Any) -> Callable[..., Any]:
        """The network with other defaults, as a function; its arguments, those included, can still be given.

        `help` shows the name, the arguments with these defaults, what the network says of itself, and the paper that
        its module names. `inspect.getsource` shows the network.
        """
        build = partial(getattr(network, "build", network), *args, **defaults)
        signature = inspect.signature(build)

        def function(*args: Any, **options: Any) -> Any:
            bind(function.__name__, signature, args, options)
            return build(*args, **options)

        given = inspect.signature(build.func).bind_partial(*build.args, **build.keywords).arguments
        changes = ", ".join(f"{name}={_shown(value)}" for name, value in given.items())
        source = (inspect.getmodule(build.func).__doc__ or "").partition("\n")[0]
        function.__name__ = function.__qualname__ = build.func.__name__
        function.__module__ = inspect.currentframe().f_back.f_globals["__name__"]
        head = f"`{build.func.__name__}` with {changes or 'its own defaults'}."
        function.__doc__ = "\n\n".join((head, inspect.getdoc(build.func) or "", f"Source: {source}"))
        result = build.func if isinstance(build.func, type) else signature.return_annotation
        function.__signature__ = signature.replace(return_annotation=result)
        function.build, function.__wrapped__ = build, build.func
        return function


def name_variants(names: dict[str, Any]) -> None:
    """Gives each variant the name that it is bound to."""
    for name, value in names.items():
        if isinstance(getattr(value, "build", None), partial):
            value.__name__ = value.__qualname__ = name


def _shown(value: Any) -> str:
    """The value as a user writes it: a class or function by its name, a `partial` as the call that makes it."""
    if isinstance(value, partial):
        bound = [*map(_shown, value.args), *(f"{name}={_shown(option)}" for name, option in value.keywords.items())]
        return f"partial({', '.join([_shown(value.func), *bound])})"
    return getattr(value, "__name__", None) or repr(value)
