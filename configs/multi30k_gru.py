"""English captions of photographs to German, in byte pairs, with gated recurrent units and attention, on a CPU.

Source: Luong, Pham & Manning 2015, arXiv:1508.04025 (attention behind the state, "general"); Cho et al. 2014,
arXiv:1406.1078 (units); Elliott et al. 2016, arXiv:1605.00459 (data, task 1, test_2016_flickr).
Command: python -m experiments.train configs/multi30k_gru.py --precision bfloat16 --seed N
Hardware: 2 cores, AMD EPYC, with other programs on both; 791 ± 14 s of processor time for a run.
BLEU: python -m experiments.evaluate RUN; python -m experiments.generate RUN --prompt "A dog runs on the beach."
Reached: 24.64 ± 0.27 BLEU (sacrebleu's, 13a, mixed case, 4 beams) on the 1,000 sentences of test_2016_flickr, and a
perplexity of 12.23 ± 0.09 per token (mean ± sample standard deviation; seeds 0, 1, 2). The 95 % interval over
sentences is 22.9 to 25.9 BLEU for seed 0.
"""

from functools import cache, partial
from math import sqrt
from typing import Literal

from fjdl import nn
from fjdl.data.orders import buckets
from fjdl.data.text import TextSplits
from fjdl.data.translation import longer_lengths, multi30k_byte_pairs, read_multi30k
from fjdl.models import EncoderDecoder, RecurrentDecoder, RecurrentEncoder
from fjdl.optim import adam, chain, clip_by_global_norm
from fjdl.schedules import warmup_cosine
from fjdl.train import Recipe
from fjdl.train.generation import answers
from fjdl.train.precision import activation_dtype
from fjdl.train.tasks import translation

STEPS = 64  # tokens of the longest text, `<bos>` and `<eos>` included
WIDTHS = 20, STEPS


def recipe(
    *,
    seed: int = 0,
    epochs: int = 6,
    batch_size: int = 128,
    vocabulary: int = 4000,
    features: int = 256,
    hidden: int = 512,
    dropout: float = 0.3,
    smoothing: float = 0.1,
    learning_rate: float = 1.5e-3,
    warmup_steps: int = 200,
    beams: int = 4,
    alpha: float = 0.6,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
) -> Recipe:
    """An encoder in both directions and a decoder of `hidden` units; one table serves both languages and the scores."""

    @cache
    def data() -> TextSplits:
        return multi30k_byte_pairs(size=vocabulary, steps=STEPS)

    network = EncoderDecoder(
        vocabulary=vocabulary,
        features=features,
        encoder=partial(
            RecurrentEncoder,
            partial(nn.GRU, features=hidden // 2, bidirectional=True, output_dropout=dropout),
        ),
        decoder=partial(
            RecurrentDecoder,
            layer=partial(nn.GRU, features=hidden),
            look=partial(nn.LuongAttention, hidden),
            features=features,
            rate=dropout,
        ),
        tied=True,
        scale=sqrt(features),
        rate=dropout,
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
            adam(warmup_cosine(peak=learning_rate, warmup_steps=warmup_steps, steps=steps)),
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
