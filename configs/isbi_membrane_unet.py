"""A U-Net that finds the cells between the membranes of neurons, in one of five folds of the ISBI 2012 images.

Source: Ronneberger et al. 2015, arXiv:1505.04597 (network, crops and elastic distortions); Arganda-Carreras et al. 2015
(data, without the labels of the challenge's test images, so that the folds are ours).
Command: for fold in 0 1 2 3 4; do python -m experiments.train configs/isbi_membrane_unet.py --precision bfloat16
  --fold $fold --seed N; done
Result: not measured yet; the aim is a Dice coefficient of the cells of 0.95, the mean over the folds.
"""

from functools import partial
from typing import Literal

from fjdl.augment import (
    each_example,
    random_crop_sample,
    random_elastic_sample,
    random_mirror_sample,
    random_rot90_sample as random_turn,
)
from fjdl.data.orders import repeated, shuffled
from fjdl.data.vision.isbi import isbi_membrane
from fjdl.functional.preprocessing import scale_pixels, standardize
from fjdl.models import UNet
from fjdl.nn import pure
from fjdl.optim import adamw
from fjdl.schedules import warmup_cosine
from fjdl.train import Recipe
from fjdl.train.tasks import segmentation

MEAN, STD = 0.503, 0.177  # of the training pixels of the first fold in [0, 1]


def recipe(
    *,
    seed: int = 0,
    fold: int = 0,
    epochs: int = 12,
    crops: int = 32,
    batch_size: int = 6,
    crop: int = 192,
    widths: tuple[int, ...] = (32, 64, 128, 256),
    dropout: float = 0.2,
    dice: float = 0.5,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-4,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
) -> Recipe:
    """An epoch is `crops` turned, mirrored and distorted crops of each training image; whole images are measured."""
    task = segmentation(2, dice=dice, headline="foreground_dice")
    return Recipe(
        splits=partial(isbi_membrane, fold=fold),
        model=pure(UNet(2, widths, dropout=dropout)),
        inputs=lambda batch: standardize(scale_pixels(batch["image"]), mean=MEAN, std=STD),
        loss=task.loss,
        metrics=task.metrics,
        augment=each_example(
            partial(random_crop_sample, size=(crop, crop)),
            random_turn,
            random_mirror_sample,
            partial(random_elastic_sample, alpha=60.0, sigma=8.0, mask_fill=255),
        ),
        order=repeated(shuffled, crops),
        optimizer=lambda steps: adamw(
            warmup_cosine(peak=learning_rate, warmup_steps=steps // 20, steps=steps), weight_decay=weight_decay
        ),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        precision=precision,
        monitor="foreground_dice",
    )
