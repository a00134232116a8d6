"""ResNet-50 on a folder of images such as ImageNet's.

Source: He et al. 2015, arXiv:1512.03385; Goyal et al. 2017, arXiv:1706.02677 (training).
Command: python -m experiments.train configs/imagenet_resnet50.py --folder /data/imagenet --workers 16
Reached: not run yet; Goyal et al. have 23.6 % top-1 error with these settings.
"""

from functools import partial
from pathlib import Path
from typing import Literal

from fjdl import optim
from fjdl.augment import each_image, random_mirror, random_resized_crop
from fjdl.data.image_folder import image_folder
from fjdl.functional.preprocessing import scale_pixels, standardize
from fjdl.models import BottleneckBlock, ZeroScaleBatchNorm, resnet50
from fjdl.nn import functional
from fjdl.schedules import warmup_cosine
from fjdl.train import Recipe
from fjdl.train.tasks import classification

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pixels in [0, 1]


def recipe(
    *,
    seed: int = 0,
    folder: Path = Path("imagenet"),
    classes: int = 1000,
    size: int = 224,
    epochs: int = 90,
    batch_size: int = 256,
    rate_of_256: float = 0.1,
    weight_decay: float = 1e-4,
    smoothing: float = 0.1,
    workers: int = 0,
    precision: Literal["float32", "tensorfloat32", "bfloat16", "float16"] = "float32",
) -> Recipe:
    """`folder` has train/ and val/ with a folder for each of the classes; the rate grows with the batch."""
    task = classification(classes, smoothing=smoothing)
    block = partial(BottleneckBlock, last_norm=ZeroScaleBatchNorm)
    peak = rate_of_256 * batch_size / 256
    return Recipe(
        splits=partial(image_folder, folder, size=size, shorter=size * 8 // 7),
        model=functional(resnet50(block=block, classes=classes)),
        inputs=lambda batch: standardize(scale_pixels(batch["image"]), mean=MEAN, std=STD),
        loss=task.loss,
        metrics=task.metrics,
        augment=each_image(partial(random_resized_crop, size=(size, size)), random_mirror),
        optimizer=lambda steps: optim.chain(
            optim.add_decayed_weights(weight_decay, rules=optim.KERNELS),
            optim.nesterov(warmup_cosine(peak=peak, warmup_steps=max(steps * 5 // epochs, 1), steps=steps)),
        ),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        workers=workers,
        precision=precision,
    )
