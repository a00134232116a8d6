"""Logistic regression on n-grams of words and characters, with negation marked, on SST-2, whole sentences only.

Source: Wang & Manning 2012, ACL; Pang et al. 2002, arXiv:cs/0205070 (n-grams, negation); Bojanowski et al. 2017,
arXiv:1607.04606 (characters); Weinberger et al. 2009, arXiv:0902.2206 (hashing); Socher et al. 2013, EMNLP (data).
Command: python -m experiments.train configs/sst2_ngrams.py --seed N
Hardware: 2 cores, AMD EPYC, with other programs on both; 22 to 25 s of processor time for a run.
Reached: test accuracy 84.06 ± 0.28 % (mean ± sample standard deviation; seeds 0, 1, 2; 1,821 sentences). The form was
chosen among about thirty by validation accuracy, 80.8 ± 0.3 % at the epochs chosen and 79.2 of `sst2_average`.
"""

from functools import cache
from typing import Literal

from fjdl.data import sentences
from fjdl.data.orders import buckets
from fjdl.data.source import to_arrays
from fjdl.losses import penalties
from fjdl.models import BagOfFeatures
from fjdl.nn import pure
from fjdl.optim import adam
from fjdl.schedules import warmup_cosine
from fjdl.train import Recipe
from fjdl.train.tasks import classification

BUCKETS = 2**20  # of words and of characters each
WIDTHS = (448, sentences.SST2_FEATURES)  # to which batches are cut


def recipe(
    *,
    seed: int = 0,
    epochs: int = 6,
    batch_size: int = 64,
    learning_rate: float = 0.03,
    strength: float = 3.6e-5,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
) -> Recipe:
    """A weight for each n-gram, under the penalty `strength` times the sum of their squares."""
    splits, task = cache(sentences.sst2_ngrams), classification(2)
    return Recipe(
        splits=splits,
        model=pure(BagOfFeatures(2 * BUCKETS, classes=2)),
        inputs=lambda batch: (batch["features"], batch["weights"]),
        loss=task.loss,
        metrics=task.metrics,
        penalty=lambda params: penalties.l2(params, strength=strength),
        order=buckets(lambda: to_arrays(splits().train)["length"], widths=WIDTHS, arrays=("features", "weights")),
        optimizer=lambda steps: adam(warmup_cosine(peak=learning_rate, warmup_steps=min(50, steps // 2), steps=steps)),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        precision=precision,
    )
