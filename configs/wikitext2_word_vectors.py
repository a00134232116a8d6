"""Word vectors of WikiText-2 by skip-gram with negative sampling.

Source: Mikolov et al. 2013, arXiv:1310.4546; Merity et al. 2016, arXiv:1609.07843 (data).
Command: python -m experiments.train configs/wikitext2_word_vectors.py --seed N
Hardware: 2 cores, Intel(R) Xeon(R) Processor, shared with other work; 125 s for a run in float32.
Reached: test loss 2.531 nats for a pair and its five negatives (seed 0; 668,542 test pairs), 4.159 before training;
nearest to "tropical" are "depression", "storm" and "cyclone", to "guitar" "vocals" and "drums".
"""

from functools import cache
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.analysis import Layer
from fjdl.data import text
from fjdl.data.language import wikitext2_pairs
from fjdl.losses import skipgram_negative_sampling_loss
from fjdl.model import Model
from fjdl.optim import adam
from fjdl.schedules import warmup_cosine
from fjdl.train import Recipe


def recipe(
    *,
    seed: int = 0,
    epochs: int = 2,
    batch_size: int = 8192,
    learning_rate: float = 2e-3,
    width: int = 100,
    negatives: int = 5,
    window: int = 5,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
) -> Recipe:
    """Vectors of the words that occur five times, from words that stand at most five apart."""

    @cache
    def splits() -> text.TextSplits:
        return wikitext2_pairs(window=window)

    @cache
    def noise() -> text.NoiseTable:
        centers = splits().train.element(np.arange(splits().train.length))["center"]
        counts = np.bincount(centers, minlength=len(splits().classes))
        return text.noise_table(text.noise_probabilities(counts))

    def drawn(key: Any, shape: tuple[int, ...]) -> Any:
        return text.draw_noise(key, *map(jnp.asarray, noise()), shape=shape)

    def inputs(batch: Any) -> Any:
        keys = jax.vmap(lambda number: jax.random.fold_in(jax.random.key(0), number))(batch["index"])
        fixed = jax.vmap(lambda key: drawn(key, (negatives,)))(keys)
        return {**batch, "negatives": batch.get("negatives", fixed)}

    def init(key: Any, inputs: Any) -> Any:
        words = len(splits().classes)
        drawn = jax.random.uniform(key, (words, width), minval=-0.5, maxval=0.5) / width  # as word2vec begins
        return {"words": drawn, "contexts": jnp.zeros((words, width))}, {}

    def apply(params: Any, stats: Any, inputs: Any, **_: Any) -> Any:
        numbers = jnp.concatenate([inputs["context"][:, None], inputs["negatives"]], axis=1)
        rows = params["contexts"][numbers]  # at once: a TPU's gradient of the table is then one sum and not two
        return {"center": params["words"][inputs["center"]], "context": rows[:, 0], "negatives": rows[:, 1:]}, stats

    def layers(inputs: Any) -> list[Layer]:
        size = len(splits().classes) * width
        products = 1 + negatives
        return [
            Layer(name="words", output=(width,), parameters=size),
            Layer(name="contexts", output=(products,), parameters=size, macs=products * width),
        ]

    return Recipe(
        splits=splits,
        model=Model(init, apply, layers),
        inputs=inputs,
        augment=lambda key, batch: {**batch, "negatives": drawn(key, (batch["center"].shape[0], negatives))},
        loss=lambda outputs, batch: skipgram_negative_sampling_loss(**outputs),
        metrics={},
        monitor="loss",
        mode="min",
        optimizer=lambda steps: adam(warmup_cosine(peak=learning_rate, warmup_steps=min(100, steps // 2), steps=steps)),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        precision=precision,
    )
