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
        """The network with other defaults, as a function; its arguments, those included, can still be given."""
        build = partial(getattr(network, "build", network), *args, **defaults)
        signature = inspect.signature(build)

        def function(*args: Any, **options: Any) -> Any:
            bind(function.__name__, signature, args, options)
            return build(*args, **options)

        given = [*map(_shown, build.args), *(f"{name}={_shown(value)}" for name, value in build.keywords.items())]
        function.__name__ = function.__qualname__ = build.func.__name__
        function.__module__ = inspect.currentframe().f_back.f_globals["__name__"]
        function.__doc__ = f"`{build.func.__name__}` with {', '.join(given)}.\n\n{inspect.getdoc(build.func)}"
        result = build.func if isinstance(build.func, type) else signature.return_annotation
        function.__signature__ = signature.replace(return_annotation=result)
        function.build = build
        return function


def name_variants(names: dict[str, Any]) -> None:
    """Gives each variant the name that it is bound to."""
    for name, value in names.items():
        if isinstance(getattr(value, "build", None), partial):
            value.__name__ = value.__qualname__ = name


def _shown(value: Any) -> str:
    return getattr(value, "__name__", None) or repr(value)
