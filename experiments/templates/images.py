"""Configs for images in memory: of a folder, of Parquet, or of arrays."""

from pathlib import Path

import numpy as np

from experiments.templates.base import Sizes, Written, filled, path_literal, sizes_for, strings
from fjdl.data.own.labels import require_classes
from fjdl.data.source import Splits
from fjdl.errors import UsageError

TEMPLATE = '''"""A residual network on the images of <folder>.

Source: your own data; He et al. 2015, arXiv:1512.03385, section 4.2 (network).
Command: python -m experiments.train <name>.py --seed N
Reached: not run yet.
"""

from functools import partial
from pathlib import Path
from typing import Literal

from fjdl.augment import <augmentations>
from fjdl.data.own import <reader>
<memory_import>from fjdl.functional.preprocessing import <preprocessing>
from fjdl.models import cifar_resnet20
from fjdl.nn import pure
from fjdl.optim import adamw
from fjdl.schedules import warmup_cosine
from fjdl.train import Recipe
from fjdl.train.tasks import classification

CLASSES = <classes>


def recipe(
    *,
    seed: int = 0,
    data: Path = <path>,
<size_argument>    epochs: int = <epochs>,
    batch_size: int = <batch_size>,
    learning_rate: float = 3e-3,
    weight_decay: float = 1e-3,
    shift: int = <shift>,
    precision: <precisions> = "float32",
    patience: int = <patience>,
) -> Recipe:
    """ResNet-20 on small images, <changed> while it trains."""
    task = classification(len(CLASSES))
    return Recipe(
        splits=lambda: <splits>,
        model=pure(cifar_resnet20(classes=len(CLASSES))),
        inputs=lambda batch: <inputs>,
        loss=task.loss,
        metrics=task.metrics,
        augment=each_image(partial(random_shift, most=shift)<mirror>),
        optimizer=lambda steps: adamw(
            warmup_cosine(peak=learning_rate, warmup_steps=steps // 10, steps=steps), weight_decay=weight_decay
        ),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        precision=precision,
        monitor="loss",
        mode="min",
        patience=patience,
    )
'''
NETWORK = "        model=pure(cifar_resnet20(classes=len(CLASSES))),\n"
MEMORY = 2**28  # bytes of images that are held in memory
SEEN = 1_000  # images whose numbers are looked at
PHOTOGRAPHS = {
    "augmentations": "each_image, random_mirror, random_shift", "mirror": ", random_mirror",
    "changed": "mirrored and shifted",
}  # fmt: skip
ARRAYS = {"augmentations": "each_image, random_shift", "mirror": "", "changed": "shifted"}  # they may be of signs
BYTES = {
    "inputs": 'standardize(scale_pixels(batch["image"]), mean=0.5, std=0.25)',
    "preprocessing": "scale_pixels, standardize",
}


def of_folder(name: str, path: Path, *, size: int, reader: str = "image_folder") -> Written:
    """A config for `data.own.image_folder`, or for `parquet_images`."""
    from fjdl.data import own

    splits = getattr(own, reader)(path, size=size)
    require_classes(str(path), splits.classes)
    small = splits.train.length * size * size * 3 <= MEMORY
    call = f"{reader}(Path(data), size=size)"
    return _written(
        name,
        path,
        splits,
        reader=reader,
        memory_import="from fjdl.data.vision import in_memory\n" if small else "",
        size_argument=f"    size: int = {size},\n",
        shift=max(size // 12, 1),
        splits=f"in_memory({call})" if small else call,
        **PHOTOGRAPHS,
        **BYTES,
    )


def of_arrays(name: str, path: Path, splits: Splits) -> Written:
    """A config for `data.own.arrays` of images."""
    images = splits.train.element(np.arange(min(splits.train.length, SEEN)))["image"]
    size = images.shape[1]
    seen = BYTES if images.dtype == np.uint8 else _standardized(float(images.mean()), float(images.std()) or 1.0)
    return _written(
        name,
        path,
        splits,
        reader="arrays",
        memory_import="",
        size_argument="",
        shift=max(size // 12, 1),
        splits="arrays(Path(data))",
        **ARRAYS,
        **seen,
    )


def beginning_with(written: Written, path: Path) -> Written:
    """The config, whose run begins with trained weights and draws its head; raises `UsageError` for other data."""
    if NETWORK not in written.text:
        raise UsageError("pretrained needs images, whose network is a residual one, got other data")
    argument = f"    pretrained: Path | None = {path_literal(path)},\n"
    given = 'pretrained=None if pretrained is None else Pretrained(path=pretrained, fresh="logits/.*"),'
    text = written.text.replace("    data: Path = ", f"{argument}    data: Path = ", 1)
    text = text.replace(NETWORK, f"{NETWORK}        {given}\n", 1)
    text = text.replace("from fjdl.train import Recipe\n", "from fjdl.train import Pretrained, Recipe\n", 1)
    return Written(text, written.notes)


def _standardized(mean: float, std: float) -> dict[str, str]:
    inputs = f'standardize(batch["image"], mean={mean:.4g}, std={std:.4g})'
    return {"inputs": inputs, "preprocessing": "standardize"}


def _written(name: str, path: Path, found: Splits, **values: object) -> Written:
    sizes: Sizes = sizes_for(found.train.length)
    text = filled(
        TEMPLATE,
        name=name,
        folder=path.name,
        path=path_literal(path),
        classes=strings(found.classes),
        **sizes._asdict(),
        **values,
    )
    return Written(text, [])
