"""A word language model of WikiText-2 for a CPU: two LSTM layers and an adaptive softmax, trained for an hour.

Source: Zaremba et al. 2014, arXiv:1409.2329 (model); Grave et al. 2017, arXiv:1609.04309 (adaptive softmax); Baevski &
Auli 2019, arXiv:1809.10853 (its weights as the embedding); Merity et al. 2016, arXiv:1609.07843 (data).
Command: python -m experiments.train configs/wikitext2_lstm.py --precision bfloat16 --seed N
Text: python -m experiments.generate RUN --prompt "The history of" --temperature 0.8 --length 100
Hardware: 2 cores, AMD EPYC, with other programs on both; 5,319 s of processor time for seed 0.
Reached: test perplexity 95.01 ± 0.70 (mean ± sample standard deviation; seeds 0, 1, 2; 245,568 words). The 95 %
interval over windows is 92.5 to 96.3 for seed 0.
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

WORDS = language.WIKITEXT2_TYPES
SHARES = (0.2, 0.1)  # a batch of 64 x 35 has 18.5 and 9.5 % of its words in the two clusters at most
HELD_OUT = 16  # lanes of the validation and the test part; the first word of each has no context


def recipe(
    *,
    seed: int = 0,
    epochs: int = 16,
    batch_size: int = 64,
    steps: int = 35,
    hidden: int = 512,
    layers: int = 2,
    cutoffs: tuple[int, ...] = (2000, 10000),
    dropout: float = 0.3,
    learning_rate: float = 3e-3,
    clip: float = 1.0,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
) -> Recipe:
    """LSTM layers of `hidden` units, whose state goes from one window of `steps` words to the next."""

    @cache
    def data() -> TextSplits:
        return language.wikitext2(steps=steps, lanes=batch_size, held_out_lanes=HELD_OUT)

    network = LSTMLanguageModel(
        vocabulary=WORDS,
        features=hidden,
        hidden=hidden,
        layers=layers,
        input_dropout=dropout,
        hidden_dropout=dropout,
        output_dropout=dropout,
        cutoffs=cutoffs,
        shares=SHARES,
        dtype=activation_dtype(precision),
    )
    model, task = pure(network), language_model(WORDS, nats=True)
    return Recipe(
        splits=data,
        model=model,
        inputs=lambda batch: (batch["tokens"], batch["length"], batch["target"]),
        loss=task.loss,
        metrics=task.metrics,
        optimizer=lambda total: chain(
            clip_by_global_norm(clip),
            adam(warmup_cosine(peak=learning_rate, warmup_steps=min(200, total // 2), steps=total)),
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
        ),
    )
