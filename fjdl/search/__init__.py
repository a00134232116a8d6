"""Search without gradients: guess and test, successive halving, simulated annealing, a genetic algorithm.

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
from fjdl.search.halving import Halved, Rung, halving_rungs, successive_halving, survivors
from fjdl.search.points import Point, Shares, draw_shares, grid, narrowed, point_at
from fjdl.search.random import coarse_to_fine, random_search
from fjdl.search.result import Found, Objective, Tried
from fjdl.search.space import (
    Choice,
    Integer,
    LogUniform,
    Space,
    Uniform,
    choice,
    integer,
    log_uniform,
    suggested_objective,
    uniform,
)

__all__ = [
    "Choice", "Found", "Halved", "Integer", "LogUniform", "Objective", "Point", "Rung", "Shares", "Space", "Tried",
    "Uniform", "choice", "coarse_to_fine", "draw_shares", "genetic_search", "grid", "halving_rungs", "integer",
    "log_uniform", "narrowed", "point_at", "random_search", "simulated_annealing", "successive_halving",
    "suggested_objective", "survivors", "uniform",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
