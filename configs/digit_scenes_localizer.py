"""A convolutional network that names and locates the one digit in a noisy scene.

Source: Sermanet et al. 2013, arXiv:1312.6229 (class and box from one network); Simonyan and Zisserman 2014,
arXiv:1409.1556 (its convolutions); Shi et al. 2016, arXiv:1609.05158 (squares of pixels as channels); UCI optical
digits, test part, through scikit-learn (data).
Command: python -m experiments.train configs/digit_scenes_localizer.py --precision bfloat16 --seed N
Hardware: one core of an Intel(R) Xeon(R) Processor, shared with other programs; 362 s of processor time.
Reached: 99.27 % of 2,880 test digits located, that is named and with an IoU of at least 0.5 (95 % interval 98.89 to
99.52 %); accuracy 99.37 %, mean IoU 0.835; one run, seed 0. The aim is 98 %.
"""

from functools import partial
from typing import Literal

from fjdl.data.vision import single_objects
from fjdl.data.vision.digit_scenes import digit_scenes
from fjdl.functional import space_to_depth
from fjdl.functional.preprocessing import scale_pixels
from fjdl.models import VGG, Localizer
from fjdl.nn import pure
from fjdl.optim import adamw
from fjdl.schedules import warmup_cosine
from fjdl.train import Recipe
from fjdl.train.tasks import localization


def recipe(
    *,
    seed: int = 0,
    epochs: int = 12,
    copies: int = 8,
    noise: float = 10.0,
    batch_size: int = 64,
    block: int = 2,
    widths: tuple[int, ...] = (32, 64, 128),
    pooled: int = 8,
    box_weight: float = 5.0,
    learning_rate: float = 2e-3,
    weight_decay: float = 1e-2,
    ema: float | None = 0.995,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
) -> Recipe:
    """Each digit is drawn in `copies` scenes of 64 x 64 pixels, with other places and sizes in each part."""
    task = localization(10, box_weight=box_weight)
    backbone = partial(VGG, stages=(2,) * len(widths), widths=widths, batch_norm=True)
    return Recipe(
        splits=lambda: single_objects(digit_scenes(copies=copies, noise=noise)),
        model=pure(Localizer(10, backbone, f"stage{len(widths)}", pooled=pooled)),
        inputs=lambda batch: space_to_depth(scale_pixels(batch["image"]), block=block),
        loss=task.loss,
        metrics=task.metrics,
        optimizer=lambda steps: adamw(
            warmup_cosine(peak=learning_rate, warmup_steps=steps // 20, steps=steps), weight_decay=weight_decay
        ),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        ema=ema,
        precision=precision,
        monitor="located",
    )
