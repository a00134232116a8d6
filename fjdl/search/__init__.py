"""Search without gradients: guess and test, simulated annealing, a genetic algorithm."""

from fjdl.search.annealing import simulated_annealing
from fjdl.search.genetic import genetic_search
from fjdl.search.random import random_search
from fjdl.search.result import Found, Objective

__all__ = ["Found", "Objective", "genetic_search", "random_search", "simulated_annealing"]
