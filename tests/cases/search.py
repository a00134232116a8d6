"""Rows of fjdl.search."""

import jax
import jax.numpy as jnp
from jax import Array

from fjdl import search
from tests.cases.case import Case, inputs, key, normal


def _bowl(x: Array) -> Array:
    return jnp.sum(jnp.square(x - 1))


CASES: list[Case] = [
    Case(
        lambda k: search.random_search(k, _bowl, sample=lambda k: jax.random.normal(k, (2,)), trials=5),
        inputs(key),
        result=None,
        vmappable=False,
        label="random_search",
    ),
    Case(
        lambda k, start: search.simulated_annealing(k, _bowl, start, steps=4),
        inputs(key, normal(2)),
        result=None,
        vmappable=False,
        label="simulated_annealing",
    ),
    Case(
        lambda k, population: search.genetic_search(k, _bowl, population, generations=2),
        inputs(key, normal(6, 2)),
        result=None,
        vmappable=False,
        label="genetic_search",
    ),
]
