"""A small SSD that finds the red cells, white cells and platelets in photographs of blood.

Source: Liu et al. 2016, arXiv:1512.02325 (network and crops around objects); Lin et al. 2017, arXiv:1708.02002 (focal
loss); BCCD, Shenggan et al. 2017 (data, in their own three parts).
Command: python -m experiments.train configs/bccd_ssd.py --seed N
Hardware: one core of an AMD EPYC for each run, shared with other programs for one; 802 ± 49 s of processor time.
Reached: a mean average precision of 0.9013 ± 0.0056 at an IoU of 0.5 on the 72 test photographs, and COCO's mean over
IoUs of 0.585 ± 0.002 (mean ± sample standard deviation; seeds 0, 1, 3).
"""

from functools import partial
from typing import Literal

from fjdl.augment import (
    each_example,
    on_image,
    random_color_jitter,
    random_flip_vertical_sample,
    random_iou_crop_sample,
    random_mirror_sample,
    random_zoom_out_sample,
)
from fjdl.data.vision.bccd import bccd
from fjdl.functional.preprocessing import scale_pixels, standardize
from fjdl.models import SSD, ssd_anchors
from fjdl.nn import pure
from fjdl.optim import adamw
from fjdl.schedules import warmup_cosine
from fjdl.train import Recipe
from fjdl.train.tasks import detection

MEAN, STD = (0.738, 0.697, 0.715), (0.060, 0.102, 0.075)  # of the training pixels in [0, 1]
CAPACITY = 20_000  # detections of an evaluation: 87 images with 200 at most


def recipe(
    *,
    seed: int = 0,
    epochs: int = 60,
    batch_size: int = 8,
    size: tuple[int, int] = (240, 320),
    widths: tuple[int, ...] = (24, 48, 96, 128, 160),
    smallest_scale: float = 0.083,
    largest_scale: float = 0.4,
    zoom_out: float = 1.5,
    learning_rate: float = 2e-3,
    weight_decay: float = 1e-3,
    ema: float | None = 0.995,
    skip_bad: bool = False,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
) -> Recipe:
    """Scales of anchors are parts of the image's shorter side; cells are 20, 50 and 95 pixels large in the median."""
    network = SSD(3, widths, anchors=4)
    task = detection(
        3,
        ssd_anchors(network, size, least=smallest_scale, largest=largest_scale, ratios=(2.0,)),
        capacity=CAPACITY,
        image_size=size,
        code_weights=(10.0, 10.0, 5.0, 5.0),
        most=200,
    )
    return Recipe(
        splits=partial(bccd, size=size, skip_bad=skip_bad),
        model=pure(network),
        inputs=lambda batch: standardize(scale_pixels(batch["image"]), mean=MEAN, std=STD),
        loss=task.loss,
        metrics=task.metrics,
        augment=each_example(
            on_image(partial(random_color_jitter, brightness=0.1, contrast=0.2, saturation=0.2)),
            partial(random_zoom_out_sample, ratio=(1.0, zoom_out), fill=180.0, smallest=4.0),
            partial(random_iou_crop_sample, size=size, scale=(0.5, 1.0), smallest=4.0),
            random_mirror_sample,
            random_flip_vertical_sample,
        ),
        optimizer=lambda steps: adamw(
            warmup_cosine(peak=learning_rate, warmup_steps=steps // 20, steps=steps), weight_decay=weight_decay
        ),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        ema=ema,
        precision=precision,
        monitor="map50",
    )
