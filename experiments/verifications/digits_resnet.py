"""A config of what a state can hold, for `experiments.verify resume`: it trains for seconds, and its number is none.

Batch normalization, random shifts, micro-batches and an average of the parameters: statistics, keys and sums that an
interruption could lose.
"""

from functools import partial

from fjdl.augment import each_image, random_shift
from fjdl.data.embedded import digits
from fjdl.functional.preprocessing import scale_pixels
from fjdl.models import BasicBlock, ResNet, SmallStem
from fjdl.nn import functional
from fjdl.optim import adam
from fjdl.schedules import warmup_cosine
from fjdl.train import Recipe
from fjdl.train.tasks import classification


def recipe(*, seed: int = 0, epochs: int = 30, batch_size: int = 64, learning_rate: float = 3e-3) -> Recipe:
    """One residual block of 8 features, with batch normalization, on the digits."""
    task = classification(10)
    stem = partial(SmallStem, features=8)
    return Recipe(
        splits=digits,
        model=functional(ResNet((1,), BasicBlock, width=8, stem=stem, classes=10)),
        inputs=lambda batch: scale_pixels(batch["image"], maximum=16),
        loss=task.loss,
        metrics=task.metrics,
        augment=each_image(partial(random_shift, most=1)),
        optimizer=lambda steps: adam(warmup_cosine(peak=learning_rate, warmup_steps=steps // 5, steps=steps)),
        epochs=epochs,
        batch_size=batch_size,
        accumulate=2,
        ema=0.9,
        seed=seed,
    )
