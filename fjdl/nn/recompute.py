"""Blocks of a module whose inner activations are computed again for the gradient instead of being kept."""

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from flax import linen

from fjdl.nn.trace import path_of

Result = TypeVar("Result")


def recomputed(function: Callable[..., Result], *, blocks: Sequence[str]) -> Callable[..., Result]:
    """The function, which runs modules, keeping nothing for its gradient of the parts that a regex of `blocks` matches.

    A part matches by its whole path, such as "stage./block.": of it, its inputs are kept, and it runs again where the
    gradient needs it, with the same random numbers (Chen et al. 2016, arXiv:1604.06174). Results are as without. Raises
    `ValueError` for a regex that matches no part that ran.

    >>> import jax, jax.numpy as jnp
    >>> from fjdl import models, nn
    >>> model = nn.pure(models.MLP(hidden=(4,), classes=2), recompute=("hidden.",))
    >>> params, _ = model.init(jax.random.key(0), jnp.ones((1, 3)))
    >>> jax.grad(lambda p: model.apply(p, {}, jnp.ones((1, 3)), train=True)[0].sum())(params)["logits"]["bias"]
    Array([1., 1.], dtype=float32)
    """

    def run(*args: Any, **kwargs: Any) -> Result:
        idle, running = set(blocks), set[str]()

        def watch(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
            path = path_of(context.module)
            matching = {pattern for pattern in blocks if re.fullmatch(pattern, path)}
            if context.method_name != "__call__" or not matching or running:
                return call(*args, **kwargs)
            idle.difference_update(matching)
            running.add(path)
            try:
                return linen.remat(lambda module, *args: module(*args, **kwargs))(context.module, *args)
            finally:
                running.remove(path)

        with linen.intercept_methods(watch):
            result = function(*args, **kwargs)
        if idle:
            raise ValueError(f"recompute must name parts that run, but no part matches {sorted(idle)}")
        return result

    return run
