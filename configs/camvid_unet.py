"""A U-Net that names what a camera in a car sees: CamVid in 11 classes.

Source: Ronneberger et al. 2015, arXiv:1505.04597 (network); Shi et al. 2016, arXiv:1609.05158 (squares of pixels as
channels); Badrinarayanan et al. 2015, arXiv:1511.00561 (data). With all 367 training frames, ENet has a mean IoU of
51.3 % and SegNet of 55.6 % (Paszke et al. 2016, arXiv:1606.02147).
Command: python -m experiments.train configs/camvid_unet.py --precision bfloat16 --seed N
Hardware: one core of an Intel(R) Xeon(R) Processor, shared with other programs; 538 s of processor time.
Reached, with every eighth training frame (46) and every tenth test frame (24): a mean IoU of 0.286 and a pixel accuracy
  of 74.4 %, one run, seed 0, which had not converged. The official lists have not been tried.
"""

from functools import partial
from typing import Literal

from fjdl.augment import (
    each_example,
    on_image,
    random_color_jitter,
    random_mirror_sample,
    random_resized_crop_sample,
)
from fjdl.data.orders import repeated, shuffled
from fjdl.data.vision.camvid import camvid
from fjdl.functional.preprocessing import scale_pixels, standardize
from fjdl.model import averaged_views
from fjdl.models import UNet
from fjdl.nn import pure
from fjdl.optim import adamw
from fjdl.schedules import warmup_cosine
from fjdl.train import Recipe
from fjdl.train.tasks import segmentation

MEAN, STD = 0.426, 0.308  # of the training pixels in [0, 1]


def recipe(
    *,
    seed: int = 0,
    epochs: int = 3,
    views: int = 32,
    batch_size: int = 8,
    size: tuple[int, int] = (384, 480),
    crop: tuple[int, int] = (192, 256),
    block: int = 4,
    widths: tuple[int, ...] = (64, 128, 192, 256),
    dropout: float = 0.3,
    dice: float = 0.5,
    learning_rate: float = 2e-3,
    weight_decay: float = 1e-2,
    ema: float | None = 0.99,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
) -> Recipe:
    """An epoch is `views` views of each frame: a window of a quarter to all of it, mirrored and of other colours."""
    task = segmentation(11, dice=dice)
    network = pure(UNet(11, widths, dropout=dropout, block=block))
    mirror = (lambda x: x, lambda x: x[:, :, ::-1])
    return Recipe(
        splits=partial(camvid, size=size),
        model=averaged_views(network, [(0.5, view) for view in mirror], back=mirror),
        inputs=lambda batch: standardize(scale_pixels(batch["image"]), mean=MEAN, std=STD),
        loss=task.loss,
        metrics=task.metrics,
        augment=each_example(
            partial(random_resized_crop_sample, size=crop, area=(0.25, 1.0), ratio=(1.1, 1.6)),
            random_mirror_sample,
            on_image(partial(random_color_jitter, brightness=0.3, contrast=0.3, saturation=0.3)),
        ),
        order=repeated(shuffled, views),
        optimizer=lambda steps: adamw(
            warmup_cosine(peak=learning_rate, warmup_steps=steps // 20, steps=steps), weight_decay=weight_decay
        ),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        ema=ema,
        precision=precision,
        monitor="mean_iou",
    )
