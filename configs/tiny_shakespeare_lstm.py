"""A character language model of Shakespeare's plays: one LSTM layer.

Source: Karpathy 2015, github.com/karpathy/char-rnn (data, model); Hochreiter & Schmidhuber 1997 (LSTM).
Command: python -m experiments.train configs/tiny_shakespeare_lstm.py --precision bfloat16 --seed N
Hardware: 2 cores, AMD EPYC; 766 ± 137 s for a run, beside other programs on both cores.
Reached: test loss 1.525 ± 0.016 nats, 2.200 ± 0.023 bits per character (mean ± sample standard deviation; seeds 0, 1,
2; 55,769 characters in 16 lanes, the first of each without context).
Text: python -m experiments.generate RUN --prompt "ROMEO:" --temperature 0.8 --length 500
"""

from functools import cache
from typing import Literal

from fjdl.data import language
from fjdl.data.orders import lanes
from fjdl.data.text import TextSplits
from fjdl.models import LSTMLanguageModel
from fjdl.nn import pure
from fjdl.optim import adam, chain, clip_by_global_norm
from fjdl.schedules import warmup_cosine
from fjdl.train import Recipe
from fjdl.train.generation import continuation
from fjdl.train.precision import activation_dtype
from fjdl.train.tasks import language_model

CHARACTERS = language.SHAKESPEARE_TYPES
HELD_OUT = 16  # lanes of the validation and the test part; the first character of each has no context


def recipe(
    *,
    seed: int = 0,
    epochs: int = 10,
    batch_size: int = 32,
    steps: int = 100,
    features: int = 128,
    hidden: int = 512,
    layers: int = 1,
    dropout: float = 0.3,
    learning_rate: float = 3e-3,
    clip: float = 1.0,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
) -> Recipe:
    """LSTM layers of `hidden` units, whose state goes from one window of `steps` characters to the next."""

    @cache
    def data() -> TextSplits:
        return language.tiny_shakespeare(steps=steps, lanes=batch_size, held_out_lanes=HELD_OUT)

    network = LSTMLanguageModel(
        vocabulary=CHARACTERS,
        features=features,
        hidden=hidden,
        layers=layers,
        tied=False,
        hidden_dropout=dropout,
        output_dropout=dropout,
        dtype=activation_dtype(precision),
    )
    model, task = pure(network), language_model(CHARACTERS, characters=True)
    return Recipe(
        splits=data,
        model=model,
        inputs=lambda batch: (batch["tokens"], batch["length"]),
        loss=task.loss,
        metrics=task.metrics,
        optimizer=lambda total: chain(
            clip_by_global_norm(clip),
            adam(warmup_cosine(peak=learning_rate, warmup_steps=min(100, total // 2), steps=total)),
        ),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        precision=precision,
        order=lanes(batch_size),
        evaluation_order=lanes(HELD_OUT),
        carry=network.begin,
        monitor="perplexity",
        mode="min",
        generation=continuation(
            model,
            network.begin,
            coder=lambda: data().coders["tokens"],
            length=500,
        ),
    )
