"""Training: a `Recipe` says what, `fit` does it, a run directory holds what came out."""

from fjdl.train.loop import fit
from fjdl.train.recipe import Recipe

__all__ = ["Recipe", "fit"]
