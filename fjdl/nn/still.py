"""Parts of a module that compute in training as they do in evaluation."""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from flax import linen

from fjdl.nn.trace import path_of

Result = TypeVar("Result")


def stilled(function: Callable[..., Result], *, parts: Sequence[str]) -> Callable[..., Result]:
    """The function, which runs modules; in training the parts that a regex of `parts` matches run as in evaluation.

    A part matches by its whole path, such as "stage./block.", and what is inside of it follows. Its batch
    normalization uses the running statistics and leaves them as they are, and its dropout drops nothing. Raises
    `ValueError` for a regex that matches no part that takes `train`.
    """

    def run(*args: Any, **kwargs: Any) -> Result:
        idle = set(parts)

        def watch(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
            if context.method_name != "__call__" or "train" not in kwargs:
                return call(*args, **kwargs)
            matching = {pattern for pattern in parts if re.fullmatch(pattern, path_of(context.module))}
            idle.difference_update(matching)
            return call(*args, **{**kwargs, "train": kwargs["train"] and not matching})

        with linen.intercept_methods(watch):
            result = function(*args, **kwargs)
        if idle:
            raise ValueError(f"still must name parts that take train, but no such part matches {sorted(idle)}")
        return result

    return run
