"""Drawings of characters found beside others of the same character, which training has not seen: Omniglot.

Source: Khosla et al. 2020, arXiv:2004.11362 (loss); He et al. 2015, arXiv:1512.03385 (network); Lake et al. 2015,
Science 350 (data).
Command: python -m experiments.train configs/omniglot_retrieval.py --seed N
Result: one run, seed 3, on 2 cores, AMD EPYC, in 339 s of processor time: 88.5 % of 2,120 drawings of 106 new
characters have another one of theirs as the nearest neighbour (recall at 1), and MAP@R is 0.597. The aim is 95 %.
"""

from dataclasses import replace
from functools import cache, partial
from typing import Literal

import numpy as np

from fjdl.augment import each_image, random_affine, random_elastic
from fjdl.data.orders import groups
from fjdl.data.source import Splits, from_arrays, to_arrays
from fjdl.data.vision.omniglot import omniglot
from fjdl.functional.preprocessing import scale_pixels
from fjdl.models import BasicBlock, ResNet, SmallStem
from fjdl.nn import pure
from fjdl.optim import adamw
from fjdl.schedules import warmup_cosine
from fjdl.train import Recipe
from fjdl.train.tasks.retrieval import contrast, retrieval


def recipe(
    *,
    seed: int = 0,
    epochs: int = 10,
    batch_size: int = 128,
    each: int = 4,
    size: int = 42,
    width: int = 32,
    dimensions: int = 64,
    temperature: float = 0.1,
    degrees: float = 20.0,
    shear: float = 0.3,
    scale: tuple[float, float] = (0.8, 1.2),
    alpha: float = 30.0,
    learning_rate: float = 2e-3,
    weight_decay: float = 1e-3,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
) -> Recipe:
    """A batch has `each` drawings of each of its characters; all are turned, moved, sheared, scaled and distorted.

    Quarter turns make three more characters of each (Santoro et al. 2016, arXiv:1605.06065), and mirrors as many again.
    """
    data = cache(lambda: _turned(omniglot(size=size)))
    stem = partial(SmallStem, features=width, pool=2)
    task = retrieval(dimensions, capacity=2120, compare=contrast(temperature=temperature))
    return Recipe(
        splits=data,
        model=pure(ResNet((1, 1, 1), BasicBlock, width=width, stem=stem, classes=dimensions)),
        inputs=lambda batch: scale_pixels(batch["image"]),
        loss=task.loss,
        metrics=task.metrics,
        augment=each_image(
            partial(random_affine, degrees=degrees, translate=2.0, shear=shear, scale=scale),
            partial(random_elastic, alpha=alpha, sigma=4.0),
        ),
        order=groups(lambda: to_arrays(data().train)["label"], each=each),
        training_sample=False,  # some examples of each class have fewer neighbours than all of the validation part
        optimizer=lambda steps: adamw(
            warmup_cosine(peak=learning_rate, warmup_steps=steps // 20, steps=steps), weight_decay=weight_decay
        ),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        precision=precision,
        monitor="map_at_r",
    )


def _turned(splits: Splits) -> Splits:
    """Each training character and its mirror image by 0, 90, 180 and 270 degrees, as eight characters."""
    arrays = to_arrays(splits.train)
    upright, characters = arrays["image"], arrays["label"].max() + 1
    forms = [np.rot90(images, turn, axes=(1, 2)) for images in (upright, upright[:, :, ::-1]) for turn in range(4)]
    labels = np.concatenate([arrays["label"] + form * characters for form in range(len(forms))])
    return replace(splits, train=from_arrays({"image": np.concatenate(forms), "label": labels.astype(np.int32)}))
