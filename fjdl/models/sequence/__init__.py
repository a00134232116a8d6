"""Models of sequences: what goes on with a text, the class of a text, one sequence from another.

May import Flax, floor 0, `fjdl.nn`, `fjdl.functional`, `fjdl.losses`, `fjdl.lowering`, `fjdl.analysis` and, for the
names of published weights, `fjdl.transfer`.

>>> from fjdl import models, nn
>>> network = models.LSTMLanguageModel(vocabulary=20, features=8, hidden=8)
>>> model, tokens = nn.pure(network), jnp.ones((3, 5), jnp.int32)
>>> params, stats = model.init(jax.random.key(0), ((tokens, None), network.begin(3)))
>>> (logits, state), _ = model.apply(params, stats, ((tokens, None), network.begin(3)))
>>> logits.shape
(3, 5, 20)
"""

from fjdl.models.sequence.bahdanau import BahdanauDecoder
from fjdl.models.sequence.classifiers import (
    BagOfFeatures,
    DeepAverage,
    RecurrentClassifier,
    TextClassifier,
    TextCNN,
)
from fjdl.models.sequence.decoders import RecurrentDecoder, TransformerTextDecoder
from fjdl.models.sequence.encoder_decoder import EncoderDecoder
from fjdl.models.sequence.language_model import LSTMLanguageModel
from fjdl.models.sequence.memory import ImageEncoder, Memory, RecurrentEncoder, TransformerTextEncoder

__all__ = [
    "BagOfFeatures",
    "BahdanauDecoder",
    "DeepAverage",
    "EncoderDecoder",
    "ImageEncoder",
    "LSTMLanguageModel",
    "Memory",
    "RecurrentClassifier",
    "RecurrentDecoder",
    "RecurrentEncoder",
    "TextCNN",
    "TextClassifier",
    "TransformerTextDecoder",
    "TransformerTextEncoder",
]


def __dir__() -> list[str]:
    return __all__
