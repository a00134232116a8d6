"""Thin Linen modules: each declares parameters and calls one pure function of `fjdl.functional`.

`pure(module)` gives the functions `init` and `apply` that everything above this room sees. No formula stands here.
May import Flax, floor 0, `fjdl.lowering`, `fjdl.functional`, `fjdl.losses`, `fjdl.analysis`, `fjdl.quant` and
`fjdl.model`.

>>> from flax import linen
>>> from fjdl import nn
>>> class Classifier(linen.Module):
...     @linen.compact
...     def __call__(self, x, *, train=False):
...         return nn.Dense(3)(nn.Dropout(0.5)(x, train=train))
>>> model = nn.pure(Classifier())
>>> params, stats = model.init(jax.random.key(0), jnp.ones((2, 4)))
>>> outputs, stats = model.apply(params, stats, jnp.ones((2, 4)))
>>> outputs.shape, [layer.parameters for layer in model.layers(jnp.ones((2, 4)))]
((2, 3), [15])
"""

from typing import TYPE_CHECKING

from fjdl.model import Model, View, averaged_views, ensemble, evaluated, preprocessed
from fjdl.names import other_names
from fjdl.nn.activations import Maxout, PReLU
from fjdl.nn.adaptive import AdaptiveEmbedding
from fjdl.nn.attention import MultiHeadAttention
from fjdl.nn.attention_scores import AdditiveAttention, DotAttention, LuongAttention
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
from fjdl.nn.embedding import Embedding, LearnedPositions, SinusoidalPositions, SparseDense
from fjdl.nn.folded import Folded, folded
from fjdl.nn.gating import LayerScale, SqueezeExcitation
from fjdl.nn.layers import Conv, Dense, Dropout
from fjdl.nn.model import functional, method, pure
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
    AttentionOverTime,
    AveragePool,
    Flatten,
    GlobalAveragePool,
    MaxPool,
)
from fjdl.nn.recurrent import GRU, LSTM, RNN, ChoGRU, LayerNormLSTM, SimpleGRU
from fjdl.nn.recurrent_cells import ChoGRUCell, GRUCell, LayerNormLSTMCell, LSTMCell, RNNCell, SimpleGRUCell
from fjdl.nn.trace import features, observed, parts
from fjdl.nn.transformer import (
    TransformerDecoder,
    TransformerDecoderBlock,
    TransformerEncoder,
    TransformerEncoderBlock,
)

# second names, see `fjdl.names`
AdaptiveAveragePool2D = AdaptiveAveragePool
Conv2D = Conv

__all__ = [
    "GRU", "LSTM", "RNN", "AdaptiveAveragePool", "AdaptiveAveragePool1D", "AdaptiveAveragePool2D",
    "AdaptiveAveragePool3D", "AdaptiveEmbedding", "AdditiveAttention", "AttentionOverTime", "AveragePool", "BatchNorm",
    "ChoGRU", "ChoGRUCell", "ClassicDropout", "Conv", "Conv1D", "Conv2D", "Conv3D", "ConvNorm", "ConvTranspose",
    "Dense", "DepthwiseConv", "DotAttention", "DropConnectDense", "Dropout", "Embedding", "Flatten", "Folded",
    "GRUCell", "GaussianDropout", "GaussianNoise", "GlobalAveragePool", "GroupNorm", "InstanceNorm", "LSTMCell",
    "LayerNorm", "LayerNormLSTM", "LayerNormLSTMCell", "LayerScale", "LearnedPositions", "LocalResponseNorm",
    "LocallyConnected", "LuongAttention", "MaxPool", "Maxout", "Model", "MultiHeadAttention", "PReLU", "RMSNorm",
    "RNNCell", "SeparableConv", "SimpleGRU", "SimpleGRUCell", "SinusoidalPositions", "SparseDense", "SpatialDropout",
    "SpatiallySeparableConv", "SqueezeExcitation", "Stage", "StochasticDepth", "TransformerDecoder",
    "TransformerDecoderBlock", "TransformerEncoder", "TransformerEncoderBlock", "View", "averaged_views", "ensemble",
    "evaluated", "features", "folded", "functional", "method", "observed", "parts", "preprocessed", "pure",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
