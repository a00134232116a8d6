"""A genetic algorithm on real vectors."""

import jax
import jax.numpy as jnp

from fjdl.checks import at_least, within
from fjdl.meshes import scan
from fjdl.numerics import wide, widened
from fjdl.search.result import Found, Objective
from fjdl.typing import Array, Float, PRNGKey, typed


@typed
def genetic_search(
    key: PRNGKey,
    objective: Objective,
    population: Float[Array, "p d"],
    *,
    generations: int,
    mutation: float = 0.1,
    tournament: int = 3,
    elite: int = 1,
) -> Found:
    """Selection, crossover and mutation of a population (Holland 1975).

    Each child has two parents, each the best of `tournament` members drawn at random; it takes each entry from either
    with equal chance and adds normal noise of deviation `mutation`, drawn in float32 whatever the population's dtype.
    The `elite` best live on unchanged, so the best value never gets worse. Raises `ValueError` where `generations` or
    `tournament` is not positive, `mutation` is negative, or `elite` is not between 1 and the size of the population.
    """
    size = population.shape[0]
    at_least(1, generations=generations, tournament=tournament)
    within("[0, inf]", mutation=mutation)
    within(f"[1, {size})", elite=elite)

    def parents(key: PRNGKey, values: Array) -> Array:
        """Row numbers [p, 2]."""
        drawn = jax.random.randint(key, (size, 2, tournament), 0, size)
        winners = jnp.argmin(values[drawn], axis=-1, keepdims=True)
        return jnp.take_along_axis(drawn, winners, axis=-1)[..., 0]

    def generation(carry: tuple[Array, Array], number: Array) -> tuple[tuple[Array, Array], Array]:
        population, values = carry
        selection, crossover, noise = jax.random.split(jax.random.fold_in(key, number), 3)
        couples = population[parents(selection, values)]
        children = jnp.where(jax.random.bernoulli(crossover, 0.5, population.shape), couples[:, 0], couples[:, 1])
        drawn = mutation * jax.random.normal(noise, population.shape, wide(population.dtype))
        children = (widened(children) + drawn).astype(population.dtype)
        best = population[jnp.argsort(values)[:elite]]
        population = jnp.concatenate([best, children[elite:]])
        values = _evaluate(objective, population)
        return (population, values), jnp.min(values)

    start = (population, _evaluate(objective, population))
    (population, values), history = scan(generation, start, jnp.arange(generations))
    best = jnp.argmin(values)
    return Found(population[best], values[best], history)


def _evaluate(objective: Objective, population: Array) -> Array:
    values = jax.vmap(objective)(population)
    return jnp.where(jnp.isnan(values), jnp.inf, values)
