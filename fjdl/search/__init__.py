"""Search without gradients: guess and test, simulated annealing, a genetic algorithm."""

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
