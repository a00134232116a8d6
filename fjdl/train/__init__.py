"""Training: a `Recipe` says what, `fit` does it, a run directory holds what came out."""

from fjdl.train.loop import fit
from fjdl.train.rate_range import RateRange, learning_rate_range, suggested_rates
from fjdl.train.recipe import Recipe

__all__ = ["RateRange", "Recipe", "fit", "learning_rate_range", "suggested_rates"]


def __dir__() -> list[str]:
    return __all__
