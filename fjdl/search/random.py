"""Guess and test."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from fjdl.checks import at_least
from fjdl.search.result import Found, Objective
from fjdl.typing import Array, PRNGKey, typed


@typed
def random_search(key: PRNGKey, objective: Objective, *, sample: Callable[[PRNGKey], Array], trials: int) -> Found:
    """The best of `trials` independent draws `sample(key)`, each a vector.

    Better than a grid where few of the dimensions matter (Bergstra & Bengio 2012, JMLR 13). Raises `ValueError` where
    `trials` is not positive.
    """
    at_least(1, trials=trials)
    points = jax.vmap(sample)(jax.random.split(key, trials))
    values = jax.lax.map(objective, points)
    values = jnp.where(jnp.isnan(values), jnp.inf, values)
    best = jnp.argmin(values)
    return Found(points[best], values[best], jax.lax.cummin(values))
