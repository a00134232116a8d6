"""Thin Linen modules: each declares parameters and calls one pure function of `fjdl.functional`."""

from fjdl.model import Model, View, averaged_views, evaluated, preprocessed
from fjdl.nn.activations import Maxout, PReLU
from fjdl.nn.conv import (
    Conv1D,
    Conv3D,
    ConvTranspose,
    DepthwiseConv,
    LocallyConnected,
    SeparableConv,
    SpatiallySeparableConv,
)
from fjdl.nn.conv_norm import ConvNorm, Stage
from fjdl.nn.gating import LayerScale, SqueezeExcitation
from fjdl.nn.layers import Conv, Dense, Dropout
from fjdl.nn.model import functional, pure
from fjdl.nn.noise import (
    ClassicDropout,
    DropConnectDense,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout,
    StochasticDepth,
)
from fjdl.nn.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LocalResponseNorm, RMSNorm
from fjdl.nn.pool import (
    AdaptiveAveragePool,
    AdaptiveAveragePool1D,
    AdaptiveAveragePool3D,
    AveragePool,
    Flatten,
    GlobalAveragePool,
    MaxPool,
)

__all__ = [
    "AdaptiveAveragePool", "AdaptiveAveragePool1D", "AdaptiveAveragePool3D", "AveragePool", "BatchNorm",
    "ClassicDropout", "Conv", "Conv1D", "Conv3D", "ConvNorm", "ConvTranspose", "Dense", "DepthwiseConv",
    "DropConnectDense", "Dropout", "Flatten", "GaussianDropout", "GaussianNoise", "GlobalAveragePool", "GroupNorm",
    "InstanceNorm", "LayerNorm", "LayerScale", "LocalResponseNorm", "LocallyConnected", "MaxPool", "Maxout", "Model",
    "PReLU", "RMSNorm", "SeparableConv", "SpatialDropout", "SpatiallySeparableConv", "SqueezeExcitation", "Stage",
    "StochasticDepth", "View", "averaged_views", "evaluated", "functional", "preprocessed", "pure",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__
