"""Random functions `(key, x) -> x` from others, where `x` is an image, an example, or a batch."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from fjdl.checks import within
from fjdl.meshes import cond, switch
from fjdl.typing import Array, Int, PRNGKey

Random = Callable[[PRNGKey, Any], Any]


def sequence(*functions: Random) -> Random:
    """One function after the other, each with its own key."""

    def apply(key: PRNGKey, x: Any) -> Any:
        for number, function in enumerate(functions):
            x = function(jax.random.fold_in(key, number), x)
        return x

    return apply


def apply_with_probability(function: Random, *, probability: float) -> Random:
    """`function` with the given probability, and otherwise nothing; its result must have the shape of its input.

    Raises `ValueError` for a probability outside [0, 1].
    """
    within("[0, 1]", probability=probability)

    def apply(key: PRNGKey, x: Any) -> Any:
        chance, rest = jax.random.split(key)
        happens = jax.random.bernoulli(chance, probability)
        return cond(happens, lambda x: function(rest, x), lambda x: x, jax.tree.map(jnp.asarray, x))

    return apply


def choose_one(*functions: Random, probabilities: Sequence[float] | None = None) -> Random:
    """One of the functions, each with the same probability unless `probabilities`, which sum to 1, are given.

    All results must have the same shapes. `jax.vmap` computes every function and selects. Raises `ValueError` without a
    function, and unless there is a probability for each, none negative, with sum 1.
    """
    given = [1 / len(functions)] * len(functions) if probabilities is None and functions else [*(probabilities or ())]
    if not functions or len(given) != len(functions):
        raise ValueError(f"functions must be at least one with a probability for each, got {len(functions)}")
    if min(given) < 0 or abs(sum(given) - 1) > 1e-6:
        raise ValueError(f"probabilities must not be negative and sum to 1, got {given}")

    def apply(key: PRNGKey, x: Any) -> Any:
        choice, rest = jax.random.split(key)
        return switch(_drawn(choice, given), functions, rest, x)

    return apply


def _drawn(key: PRNGKey, probabilities: Sequence[float]) -> Int[Array, ""]:
    """An index with these probabilities, that of `jax.random.choice`, which searches for it in a loop."""
    sums = jnp.cumsum(jnp.array(probabilities, jnp.float32))
    drawn = sums[-1] * (1 - jax.random.uniform(key, (), sums.dtype))
    return jnp.sum(sums < drawn, dtype=jnp.int32)
