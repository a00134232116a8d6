"""English captions of photographs to German, in byte pairs, with a small transformer, on a GPU.

Source: Vaswani et al. 2017, arXiv:1706.03762 (network); Xiong et al. 2020, arXiv:2002.04745 (norms before the parts);
Wu et al. 2021, arXiv:2105.14462 (size and dropout); Elliott et al. 2016, arXiv:1605.00459 (data, test_2016_flickr).
Command: python -m experiments.train configs/multi30k_transformer.py --precision bfloat16 --seed N
Hardware: one GPU. It was not run on one yet, so no number is stated; it aims at a BLEU of 33 or more.
BLEU: python -m experiments.evaluate RUN; python -m experiments.generate RUN --prompt "A dog runs on the beach."
"""

from functools import cache, partial
from math import sqrt
from typing import Literal

from fjdl import nn
from fjdl.data.orders import buckets
from fjdl.data.text import TextSplits
from fjdl.data.translation import longer_lengths, multi30k_byte_pairs, read_multi30k
from fjdl.models import EncoderDecoder, TransformerTextDecoder, TransformerTextEncoder
from fjdl.optim import adam, chain, clip_by_global_norm
from fjdl.schedules import warmup_cosine
from fjdl.train import Recipe
from fjdl.train.generation import answers
from fjdl.train.precision import activation_dtype
from fjdl.train.tasks import translation

STEPS = 64  # tokens of the longest text, `<bos>` and `<eos>` included
WIDTHS = 16, 26, STEPS


def recipe(
    *,
    seed: int = 0,
    epochs: int = 60,
    batch_size: int = 256,
    vocabulary: int = 8000,
    features: int = 128,
    heads: int = 4,
    hidden: int = 256,
    depth: int = 4,
    dropout: float = 0.3,
    smoothing: float = 0.1,
    learning_rate: float = 2e-3,
    warmup_steps: int = 1000,
    beams: int = 4,
    alpha: float = 0.6,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
) -> Recipe:
    """An encoder and a decoder of `depth` blocks; one table of words serves both languages and the scores."""

    @cache
    def data() -> TextSplits:
        return multi30k_byte_pairs(size=vocabulary, steps=STEPS)

    def parts(block: type, stack: type) -> partial:
        made = partial(block, features, heads, hidden, rate=dropout, pre_norm=True)
        return partial(stack, made, depth, norm=nn.LayerNorm, rate=dropout)

    network = EncoderDecoder(
        vocabulary=vocabulary,
        features=features,
        encoder=parts(nn.TransformerEncoderBlock, TransformerTextEncoder),
        decoder=parts(nn.TransformerDecoderBlock, TransformerTextDecoder),
        tied=True,
        scale=sqrt(features),
        dtype=activation_dtype(precision),
    )
    task = translation(vocabulary, smoothing=smoothing)
    return Recipe(
        splits=data,
        model=nn.pure(network),
        inputs=lambda batch: ((batch["source"], batch["source_length"]), (batch["target"], batch["target_length"])),
        loss=task.loss,
        metrics=task.metrics,
        optimizer=lambda steps: chain(
            clip_by_global_norm(1.0),
            adam(warmup_cosine(peak=learning_rate, warmup_steps=warmup_steps, steps=steps), b2=0.98),
        ),
        order=buckets(lambda: longer_lengths(data().train), widths=WIDTHS, arrays=("source", "target")),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        precision=precision,
        monitor="perplexity",
        mode="min",
        generation=answers(
            nn.method(network, "begin"),
            nn.method(network, "step"),
            coders=lambda: data().coders,
            length=STEPS,
            beams=beams,
            alpha=alpha,
            references=lambda part: read_multi30k()[part]["de"],
            weights=nn.method(network, "weights"),
        ),
    )
