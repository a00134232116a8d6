"""Every layer with an example's shape: a new layer is one new row under the laws of meshes."""

from functools import partial
from typing import Any

import pytest
from flax import linen

from fjdl import nn
from fjdl.functional import rotary_halves
from fjdl.models import (
    BahdanauDecoder,
    EncoderDecoder,
    ImageEncoder,
    RecurrentDecoder,
    RecurrentEncoder,
    TransformerTextDecoder,
    TransformerTextEncoder,
)

SPOTS = (5, 6, 4)
STEPS = (3, 4)


class Tokens(linen.Module):
    """An embedding between vectors, whose signs are the ids."""

    @linen.compact
    def __call__(self, x: Any, *, train: bool = False) -> Any:
        return x + nn.Embedding(3, x.shape[-1], rate=0.5)((x[..., 0] > 0).astype("int32"), train=train)


class FrequentWords(linen.Module):
    """As `Tokens`, with a cluster of rare words, whose scores are computed for one token, and the nats of the ids."""

    @linen.compact
    def __call__(self, x: Any, *, train: bool = False) -> Any:
        words = nn.AdaptiveEmbedding(7, x.shape[-1], (3,), factor=2, rate=0.5, shares=(0.01,), name="words")
        ids = 5 * (x[..., 0] > 0).astype("int32")
        return words(ids, train=train) * words.nats(x, ids).astype(x.dtype)[..., None]


class Sparse(linen.Module):
    """A sparse input whose values are the entries, at places by their signs."""

    @linen.compact
    def __call__(self, x: Any, *, train: bool = False) -> Any:
        return nn.SparseDense(2, 3)((x > 0).astype("int32"), x)


class Translation(linen.Module):
    """Scores of words beside vectors whose signs are their ids; the source has the same words, or is an image."""

    encoder: Any
    decoder: Any
    image: bool = False

    @linen.compact
    def __call__(self, x: Any, *, train: bool = False) -> Any:
        words = (x[..., 0] > 0).astype("int32"), None
        network = EncoderDecoder(
            vocabulary=3, features=4, encoder=self.encoder, decoder=self.decoder, image=self.image, rate=0.5
        )
        scores = network((x[:, :, None] if self.image else words, words), train=train)
        return x[:, 1:] + scores[..., :1].astype(x.dtype)


LAYERS: dict[str, tuple[linen.Module, tuple[int, ...]]] = {
    "AdaptiveAveragePool": (nn.AdaptiveAveragePool(2), SPOTS),
    "AdaptiveAveragePool1D": (nn.AdaptiveAveragePool1D(2), (5, 4)),
    "AdaptiveAveragePool3D": (nn.AdaptiveAveragePool3D(2), (3, 4, 5, 2)),
    "AdaptiveEmbedding": (FrequentWords(), STEPS),
    "AdditiveAttention": (nn.AdditiveAttention(3), STEPS),
    "AttentionOverTime": (nn.AttentionOverTime(2), STEPS),
    "AveragePool": (nn.AveragePool(2, padding=1, count_include_pad=False), SPOTS),
    "BatchNorm": (nn.BatchNorm(), SPOTS),
    "ChoGRU": (nn.ChoGRU(3), STEPS),
    "ChoGRUCell": (nn.ChoGRUCell(3), (4,)),
    "ClassicDropout": (nn.ClassicDropout(0.5), SPOTS),
    "Conv": (nn.Conv(3, 3, stride=2), SPOTS),
    "Conv1D": (nn.Conv1D(3, 3), (5, 4)),
    "Conv3D": (nn.Conv3D(3, 2), (3, 4, 5, 2)),
    "ConvNorm": (nn.ConvNorm(3, 3), SPOTS),
    "ConvTranspose": (nn.ConvTranspose(3, 3, stride=2), SPOTS),
    "Dense": (nn.Dense(3), (4,)),
    "DepthwiseConv": (nn.DepthwiseConv(3, multiplier=2), SPOTS),
    "DropConnectDense": (nn.DropConnectDense(3, 0.5), (4,)),
    "DotAttention": (nn.DotAttention(), STEPS),
    "Dropout": (nn.Dropout(0.5), (4,)),
    "Embedding": (Tokens(), STEPS),
    "Flatten": (nn.Flatten(), SPOTS),
    "GRU": (nn.GRU(3), STEPS),
    "GRUCell": (nn.GRUCell(3), (4,)),
    "GaussianDropout": (nn.GaussianDropout(0.5), (4,)),
    "GaussianNoise": (nn.GaussianNoise(0.5), (4,)),
    "GlobalAveragePool": (nn.GlobalAveragePool(), SPOTS),
    "GroupNorm": (nn.GroupNorm(2), SPOTS),
    "InstanceNorm": (nn.InstanceNorm(), SPOTS),
    "LSTM": (nn.LSTM(3, bidirectional=True, input_dropout=0.5, recurrent_dropout=0.5), STEPS),
    "LSTMCell": (nn.LSTMCell(3, projection=2, peepholes=True), (4,)),
    "LayerNorm": (nn.LayerNorm(), SPOTS),
    "LayerNormLSTM": (nn.LayerNormLSTM(3), STEPS),
    "LayerNormLSTMCell": (nn.LayerNormLSTMCell(3), (4,)),
    "LayerScale": (nn.LayerScale(), SPOTS),
    "LearnedPositions": (nn.LearnedPositions(6), STEPS),
    "LocalResponseNorm": (nn.LocalResponseNorm(), SPOTS),
    "LocallyConnected": (nn.LocallyConnected(3, 3), SPOTS),
    "LuongAttention": (nn.LuongAttention(4), STEPS),
    "MaxPool": (nn.MaxPool(2, padding=1), SPOTS),
    "Maxout": (nn.Maxout(3, 2), (4,)),
    "MultiHeadAttention": (nn.MultiHeadAttention(4, 2, key_heads=1, rate=0.5, rotate=rotary_halves), STEPS),
    "PReLU": (nn.PReLU(per_channel=True), SPOTS),
    "RMSNorm": (nn.RMSNorm(), SPOTS),
    "RNN": (nn.RNN(3, layers=2), STEPS),
    "RNNCell": (nn.RNNCell(3), (4,)),
    "SeparableConv": (nn.SeparableConv(3, 3), SPOTS),
    "SimpleGRU": (nn.SimpleGRU(3), STEPS),
    "SimpleGRUCell": (nn.SimpleGRUCell(3), (4,)),
    "SinusoidalPositions": (nn.SinusoidalPositions(), STEPS),
    "SparseDense": (Sparse(), (4,)),
    "SpatialDropout": (nn.SpatialDropout(0.5), SPOTS),
    "SpatiallySeparableConv": (nn.SpatiallySeparableConv(3, 3), SPOTS),
    "SqueezeExcitation": (nn.SqueezeExcitation(2), SPOTS),
    "Stage": (nn.Stage((partial(nn.ConvNorm, 3), nn.BatchNorm)), SPOTS),
    "StochasticDepth": (nn.StochasticDepth(0.5), SPOTS),
    "TransformerDecoder": (nn.TransformerDecoder(partial(nn.TransformerDecoderBlock, 4, 2, 8), 2), STEPS),
    "TransformerDecoderBlock": (nn.TransformerDecoderBlock(4, 2, 8, pre_norm=True), STEPS),
    "TransformerEncoder": (nn.TransformerEncoder(partial(nn.TransformerEncoderBlock, 4, 2, 8), 1), STEPS),
    "TransformerEncoderBlock": (nn.TransformerEncoderBlock(4, 2, 8), STEPS),
}

READER = partial(RecurrentEncoder, partial(nn.GRU, 3, bidirectional=True))
RECURRENT = partial(RecurrentDecoder, layer=partial(nn.LSTM, 4), features=4, rate=0.5)

TRANSLATIONS: dict[str, tuple[linen.Module, tuple[int, ...]]] = {
    "BahdanauDecoder": (Translation(READER, partial(BahdanauDecoder, hidden=4, features=4, units=3)), STEPS),
    "ImageEncoder": (Translation(partial(ImageEncoder, partial(nn.ConvNorm, 3, 3)), RECURRENT, image=True), STEPS),
    "RecurrentDecoder": (Translation(READER, partial(RECURRENT, look=partial(nn.LuongAttention, 4))), STEPS),
    "TransformerTextDecoder": (
        Translation(
            partial(TransformerTextEncoder, partial(nn.TransformerEncoderBlock, 4, 2, 8), 1),
            partial(TransformerTextDecoder, partial(nn.TransformerDecoderBlock, 4, 2, 8), 1),
        ),
        STEPS,
    ),
}


def layers() -> list[Any]:
    """A parameter set for each layer, and for encoders and decoders together."""
    return [pytest.param(*row, id=name) for name, row in {**LAYERS, **TRANSLATIONS}.items()]
