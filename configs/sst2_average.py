"""The mean of word vectors on SST-2, whole sentences only.

Source: Iyyer et al. 2015, ACL; Joulin et al. 2017, arXiv:1607.01759 (model); Socher et al. 2013, EMNLP (data). No
pretrained vectors.
Command: python -m experiments.train configs/sst2_average.py --seed N
Hardware: 2 cores, AMD EPYC; 19 ± 3 s for a run in float32, while others ran.
Reached: test accuracy 81.97 ± 0.03 % (mean ± sample standard deviation; seeds 0, 1, 2; 1,821 test examples).
An ensemble of this mean, a weighted mean, a maximum and a convolutional network was better on the validation part (80.7
against 79.2 %) and not on the test part (81.53 ± 0.66 %, 214 s).
"""

from functools import cache
from typing import Literal

from fjdl.data import sentences
from fjdl.data.orders import buckets
from fjdl.data.source import to_arrays
from fjdl.models import DeepAverage
from fjdl.nn import pure
from fjdl.optim import adam
from fjdl.schedules import warmup_cosine
from fjdl.train import Recipe
from fjdl.train.precision import activation_dtype
from fjdl.train.tasks import classification

WIDTHS = (24, 56)  # to which batches are cut


def recipe(
    *,
    seed: int = 0,
    epochs: int = 6,
    batch_size: int = 48,
    learning_rate: float = 3e-3,
    features: int = 200,
    hidden: tuple[int, ...] = (),
    dropout: float = 0.5,
    word_dropout: float = 0.3,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
) -> Recipe:
    """A linear classifier of the mean of a sentence's word vectors, or a deep one with `hidden` layers."""
    splits, task = cache(sentences.sst2), classification(2)
    network = DeepAverage(
        vocabulary=sentences.SST2_WORDS,
        classes=2,
        features=features,
        hidden=tuple(hidden),
        dropout=dropout,
        word_dropout=word_dropout,
        dtype=activation_dtype(precision),
    )
    return Recipe(
        splits=splits,
        model=pure(network),
        inputs=lambda batch: (batch["tokens"], batch["length"]),
        loss=task.loss,
        metrics=task.metrics,
        order=buckets(lambda: to_arrays(splits().train)["length"], widths=WIDTHS, arrays=("tokens",)),
        optimizer=lambda steps: adam(warmup_cosine(peak=learning_rate, warmup_steps=min(50, steps // 2), steps=steps)),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        precision=precision,
    )
