"""Training steps of a U-Net and of a small SSD: fjdl alone and in an epoch's scan, PyTorch in both of its layouts.

The peer is PyTorch in its faster layout, or XLA's own convolutions where PyTorch is not installed.
"""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.cnn import Precision, product_rate, with_xlas_own
from experiments.benchmarks.comparison import Comparison
from experiments.benchmarks.lenet import epoch_scan, single_steps
from fjdl.analysis import total
from fjdl.data.source import Splits, from_arrays
from fjdl.models import SSD, UNet, ssd_anchors
from fjdl.nn import Model, pure
from fjdl.optim import momentum
from fjdl.train.recipe import Recipe
from fjdl.train.tasks import detection, segmentation
from fjdl.train.tasks.base import Task

Arrays = dict[str, np.ndarray]

STEPS = 4  # of a turn
WIDTHS = (32, 64, 128, 256)  # of the U-Net
DETECTOR = SSD(3, (24, 48, 96, 128, 160), anchors=4)  # that of configs/bccd_ssd.py
PHOTO = (240, 320)
CODE_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
OBJECTS = 30  # for which an image has room; a third of them are there


class Contest(NamedTuple):
    """One network with its loss in both libraries, and examples."""

    model: Model
    task: Task
    arrays: Arrays
    twin: Callable[[], tuple[Any, Callable[..., Any]]]  # network and loss in PyTorch


def comparisons(batch_size: int, only: str) -> Iterator[Comparison]:
    """The networks in float32 and bfloat16."""
    for precision in ("float32", "bfloat16"):
        peak = product_rate(precision)
        for name, make in {"U-Net": unet, "SSD": ssd}.items():
            if only.lower() in f"{name}, {precision}".lower():
                yield network(f"{name}, {precision}", make(batch_size * STEPS), batch_size, precision, peak)


def unet(examples: int) -> Contest:
    """Grey images of 128 x 128 in two classes."""
    rng = np.random.default_rng(0)
    arrays = {
        "image": rng.integers(0, 256, (examples, 128, 128, 1), dtype=np.uint8),
        "mask": rng.integers(0, 2, (examples, 128, 128), dtype=np.uint8),
    }

    def twin() -> tuple[Any, Callable[..., Any]]:
        from experiments.benchmarks import vision_in_torch as twins

        return twins.UNet(1, 2, WIDTHS), twins.segmentation_loss

    return Contest(pure(UNet(2, WIDTHS)), segmentation(2), arrays, twin)


def ssd(examples: int) -> Contest:
    """Colour images of 240 x 320 with ten objects each, of sizes as in the data of the configuration."""
    rng = np.random.default_rng(0)
    height, width = PHOTO
    corner = rng.uniform(0, (width - 60, height - 60), (examples, OBJECTS, 2))
    valid = np.arange(OBJECTS)[None] < np.full((examples, 1), OBJECTS // 3)
    boxes = np.concatenate([corner, corner + rng.uniform(15, 60, corner.shape)], axis=-1).astype(np.float32)
    arrays = {
        "image": rng.integers(0, 256, (examples, height, width, 3), dtype=np.uint8),
        "boxes": boxes * valid[..., None],
        "labels": rng.integers(0, 3, (examples, OBJECTS)).astype(np.int32) * valid,
        "valid": valid,
    }
    anchors = ssd_anchors(DETECTOR, PHOTO, least=0.083, largest=0.4, ratios=(2.0,))

    def twin() -> tuple[Any, Callable[..., Any]]:
        from experiments.benchmarks import vision_in_torch as twins

        return twins.SSD(3, DETECTOR.widths, DETECTOR.anchors), twins.DetectionLoss(np.asarray(anchors), CODE_WEIGHTS)

    task = detection(3, anchors, capacity=100, image_size=PHOTO, code_weights=CODE_WEIGHTS)
    return Contest(pure(DETECTOR), task, arrays, twin)


def network(name: str, contest: Contest, batch_size: int, precision: Precision, peak: float) -> Comparison:
    """Training steps with momentum, 6 operations for each MAC of the forward pass."""
    image = contest.arrays["image"].shape[1:]
    ours = recipe(contest, batch_size, precision)
    macs = total(ours.model.layers(jnp.zeros((1, *image)))).macs
    runs = {
        "fjdl, one jitted step": single_steps(ours, contest.arrays, STEPS),
        "fjdl, epoch scan": epoch_scan(ours, contest.arrays),
        "epoch scan, XLA's own convolutions": with_xlas_own(epoch_scan(ours, contest.arrays)),
    }
    if find_spec("torch"):
        runs |= torch_runs(contest, batch_size, precision, count_of(contest.model, image))
    return Comparison(name, runs, STEPS, operations=6.0 * macs * batch_size * STEPS, peak=peak)


def recipe(contest: Contest, batch_size: int, precision: Precision) -> Recipe:
    """The contest with momentum."""
    source = from_arrays(contest.arrays)
    return Recipe(
        splits=lambda: Splits(name="noise", train=source, validation=source, test=source, classes=("a", "b", "c")),
        model=contest.model,
        inputs=lambda batch: batch["image"].astype(jnp.float32) * (1 / 255),
        loss=contest.task.loss,
        metrics=contest.task.metrics,
        optimizer=lambda steps: momentum(0.01, momentum=0.9),
        epochs=1,
        batch_size=batch_size,
        monitor="loss",
        mode="min",
        precision=precision,
    )


def count_of(model: Model, image: tuple[int, ...]) -> int:
    """Parameters of a network for such images."""
    params, _ = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, *image)))
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(params))


def torch_runs(contest: Contest, batch_size: int, precision: Precision, count: int) -> dict[str, Callable[[], None]]:
    """Both layouts of memory, the faster one last."""
    runs = {
        "PyTorch, channels first": torch_steps(contest, batch_size, precision, count, channels_last=False),
        "PyTorch, channels last": torch_steps(contest, batch_size, precision, count, channels_last=True),
    }
    return dict(sorted(runs.items(), key=lambda item: -seconds(item[1])))


def torch_steps(
    contest: Contest, batch_size: int, precision: Precision, count: int, *, channels_last: bool
) -> Callable[[], None]:
    """The twin with momentum on batches that are ready; bfloat16 by autocast. It has `count` parameters."""
    import torch

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model, loss = contest.twin()
    model = model.to(memory_format=layout)
    found = sum(parameter.numel() for parameter in model.parameters())
    if found != count:
        raise ValueError(f"the twin must have {count} parameters, got {found}")
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9)
    batches = [
        (batch.pop("image").float().div(255).permute(0, 3, 1, 2).contiguous(memory_format=layout), batch)
        for batch in split(contest.arrays, batch_size, torch.tensor)
    ]

    def run() -> None:
        for x, targets in batches:
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
                outputs = model(x)
            loss(outputs, targets).backward()
            optimizer.step()

    return run


def split(arrays: Mapping[str, np.ndarray], batch_size: int, make: Callable[[np.ndarray], Any]) -> Iterator[Any]:
    """Batches of examples in their order."""
    examples = len(arrays["image"])
    for start in range(0, examples, batch_size):
        yield {name: make(a[start : start + batch_size]) for name, a in arrays.items()}


def seconds(run: Callable[[], None]) -> float:
    """The shorter time of two calls after one that is not counted."""
    run()
    times = []
    for _ in range(2):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)
