"""Dates as people write them to their ISO form, character by character, with attention.

Source: Bahdanau, Cho & Bengio 2015, arXiv:1409.0473 (network); Saitoh 2018, "Deep Learning from Scratch 2" (data).
Command: python -m experiments.train configs/dates_attention.py --seed N
Hardware: 2 cores, AMD EPYC, with other programs on both; 65 ± 22 s for a run.
Reached: 100.00 ± 0.00 % of whole dates exact (mean ± sample standard deviation; seeds 0, 1, 2; 2,000 test examples).
Answers: python -m experiments.generate RUN --prompt "september 27, 1994"; experiments.plot draws where it looks.
"""

from functools import cache, partial
from typing import Literal

from fjdl import nn
from fjdl.data.text import TextSplits
from fjdl.data.translation import dates
from fjdl.models import BahdanauDecoder, EncoderDecoder, RecurrentEncoder
from fjdl.optim import adam, chain, clip_by_global_norm
from fjdl.schedules import warmup_cosine
from fjdl.train import Recipe
from fjdl.train.generation import answers
from fjdl.train.precision import activation_dtype
from fjdl.train.summary import Summary
from fjdl.train.tasks import translation

CHARACTERS = 61, 15  # of dates as people write them, and of ISO's, special tokens included
LENGTH = 11  # of an ISO date with its end


def recipe(
    *,
    seed: int = 0,
    epochs: int = 3,
    batch_size: int = 128,
    features: int = 32,
    hidden: int = 64,
    learning_rate: float = 5e-3,
    clip: float = 1.0,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
) -> Recipe:
    """A bidirectional GRU of `hidden` units in each direction, and one that looks at it while it writes."""

    @cache
    def data() -> TextSplits:
        return dates()

    network = EncoderDecoder(
        source_vocabulary=CHARACTERS[0],
        vocabulary=CHARACTERS[1],
        features=features,
        encoder=partial(RecurrentEncoder, partial(nn.GRU, features=hidden, bidirectional=True)),
        decoder=partial(BahdanauDecoder, hidden=hidden, features=hidden, units=hidden),
        dtype=activation_dtype(precision),
    )
    task = translation(CHARACTERS[1])
    told = task.loss.summary or Summary("exact")
    return Recipe(
        splits=data,
        model=nn.pure(network),
        inputs=lambda batch: ((batch["source"], batch["source_length"]), (batch["target"], batch["target_length"])),
        loss=task.loss,
        metrics=task.metrics,
        optimizer=lambda steps: chain(
            clip_by_global_norm(clip),
            adam(warmup_cosine(peak=learning_rate, warmup_steps=min(100, steps // 2), steps=steps)),
        ),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        precision=precision,
        monitor="exact",
        summary=told._replace(headline="exact", better="max"),
        generation=answers(
            nn.method(network, "begin"),
            nn.method(network, "step"),
            coders=lambda: data().coders,
            length=LENGTH,
            weights=nn.method(network, "weights"),
        ),
    )
