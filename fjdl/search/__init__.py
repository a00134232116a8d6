"""Search without gradients: guess and test, simulated annealing, a genetic algorithm.

An objective is either a function that is traced, with the whole search one program, or anything on the host that
returns a number. May import floor 0 alone.

>>> from fjdl import search
>>> space = {"width": search.integer(1, 4), "rate": search.log_uniform(1e-3, 1e-1)}
>>> tried = search.random_search(jax.random.key(0), lambda width, rate: width + rate, space=space, trials=10)
>>> sorted(tried.point), tried.value == tried.point["width"] + tried.point["rate"]
(['rate', 'width'], True)
"""

from fjdl.search.annealing import simulated_annealing
from fjdl.search.genetic import genetic_search
from fjdl.search.random import random_search
from fjdl.search.result import Found, Objective, Tried
from fjdl.search.space import Space, choice, integer, log_uniform, uniform

__all__ = [
    "Found", "Objective", "Space", "Tried", "choice", "genetic_search", "integer", "log_uniform", "random_search",
    "simulated_annealing", "uniform",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
