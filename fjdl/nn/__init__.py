"""Thin Linen modules: each declares parameters and calls one pure function of `fjdl.functional`."""

from fjdl.nn.activations import Maxout, PReLU
from fjdl.nn.layers import Conv, Dense, Dropout
from fjdl.nn.model import Model, functional, preprocessed
from fjdl.nn.noise import (
    ClassicDropout,
    DropConnectDense,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout,
    StochasticDepth,
)
from fjdl.nn.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LocalResponseNorm, RMSNorm

__all__ = [
    "BatchNorm", "ClassicDropout", "Conv", "Dense", "DropConnectDense", "Dropout", "GaussianDropout",
    "GaussianNoise", "GroupNorm", "InstanceNorm", "LayerNorm", "LocalResponseNorm", "Maxout", "Model", "PReLU",
    "RMSNorm", "SpatialDropout", "StochasticDepth", "functional", "preprocessed",
]  # fmt: skip
