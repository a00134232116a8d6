"""Thin Linen modules: each declares parameters and calls one pure function of `fjdl.functional`."""

from fjdl.nn.layers import Conv, Dense, Dropout
from fjdl.nn.model import Model, functional

__all__ = ["Conv", "Dense", "Dropout", "Model", "functional"]
