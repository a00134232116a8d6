"""AWD-LSTM on WikiText-2 for a GPU: three LSTM layers of 1,150 units, tied weights, dropout everywhere, an average.

Source: Merity et al. 2018, arXiv:1708.02182, and its code, github.com/salesforce/awd-lstm-lm (65.8 on the test part).
Command: python -m experiments.train configs/wikitext2_awd_lstm.py --precision bfloat16 --seed N
Text: python -m experiments.generate RUN --prompt "The history of" --temperature 0.8 --length 100
Result: it has not been run yet; the aim is a test perplexity of 70 on one GPU. Sizes, dropout, penalties, decay, rate
and clipping are the published ones. Windows are all of 70 words, where the paper draws their lengths; and in the place
of the average that begins when progress ends (NT-ASGD), one over the last 27 epochs or so moves along from the start.
"""

from functools import cache
from typing import Literal

from fjdl.data import language
from fjdl.data.orders import lanes
from fjdl.data.text import TextSplits
from fjdl.models import LSTMLanguageModel
from fjdl.nn import pure
from fjdl.optim import EVERYWHERE, add_decayed_weights, chain, clip_by_global_norm, sgd
from fjdl.train import Recipe
from fjdl.train.generation import continuation
from fjdl.train.precision import activation_dtype
from fjdl.train.tasks import language_model

WORDS = language.WIKITEXT2_TYPES
HELD_OUT = 10  # lanes of the validation and the test part; the first word of each has no context


def recipe(
    *,
    seed: int = 0,
    epochs: int = 750,
    batch_size: int = 80,
    steps: int = 70,
    features: int = 400,
    hidden: int = 1150,
    layers: int = 3,
    learning_rate: float = 30.0,
    weight_decay: float = 1.2e-6,
    clip: float = 0.25,
    ema: float = 0.9999,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
) -> Recipe:
    """The published sizes and rates of dropout, trained by plain descent; `ema` is the decay of the average."""

    @cache
    def data() -> TextSplits:
        return language.wikitext2(steps=steps, lanes=batch_size, held_out_lanes=HELD_OUT)

    network = LSTMLanguageModel(
        vocabulary=WORDS,
        features=features,
        hidden=hidden,
        layers=layers,
        word_dropout=0.1,
        input_dropout=0.65,
        hidden_dropout=0.2,
        output_dropout=0.4,
        recurrent_dropout=0.5,
        regularized=True,
        dtype=activation_dtype(precision),
    )
    model, task = pure(network), language_model(WORDS, activation=2.0, slowness=1.0)
    return Recipe(
        splits=data,
        model=model,
        inputs=lambda batch: (batch["tokens"], batch["length"]),
        loss=task.loss,
        metrics=task.metrics,
        optimizer=lambda total: chain(
            clip_by_global_norm(clip), add_decayed_weights(weight_decay, rules=EVERYWHERE), sgd(learning_rate)
        ),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        precision=precision,
        order=lanes(batch_size),
        evaluation_order=lanes(HELD_OUT),
        carry=network.begin,
        ema=ema,
        monitor="perplexity",
        mode="min",
        generation=continuation(
            model,
            network.begin,
            coder=lambda: data().coders["tokens"],
        ),
    )
