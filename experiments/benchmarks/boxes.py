"""Suppression and RoI align against the definitions of torchvision, written in PyTorch."""

import os
from collections.abc import Callable, Iterator

import jax
import numpy as np
import torch

from experiments.benchmarks.comparison import Comparison
from experiments.benchmarks.pointwise import check
from fjdl import boxes
from fjdl.functional import roi_align

SIDE, STRIDE, CHANNELS, GRID, SAMPLES = 800, 16, 256, 7, 2


def comparisons(count: int, regions: int, only: str) -> Iterator[Comparison]:
    """Suppression alone and by class, RoI align forward and with its gradient, where the name contains `only`."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    for name, make in {
        f"NMS of {count} boxes": lambda name: suppression(name, count, classes=None),
        f"NMS of {count} boxes, 80 classes": lambda name: suppression(name, count, classes=80),
        f"RoI align of {regions} boxes, forward": lambda name: alignment(name, regions, backward=False),
        f"RoI align of {regions} boxes, forward and backward": lambda name: alignment(name, regions, backward=True),
    }.items():
        if only in name:
            yield make(name)


def scene(count: int) -> np.ndarray:
    """Boxes of 20 to 200 pixels in an image of 800 × 800."""
    rng = np.random.default_rng(0)
    center, size = rng.uniform(0, SIDE, (count, 2)), rng.uniform(20, 200, (count, 2))
    return np.concatenate([center - size / 2, center + size / 2], 1).astype(np.float32)


def suppression(name: str, count: int, *, classes: int | None) -> Comparison:
    """All boxes that remain at an IoU of 0.5."""
    rng = np.random.default_rng(1)
    corners, scores = scene(count), rng.permutation(count).astype(np.float32) / count
    labels = None if classes is None else rng.integers(0, classes, count).astype(np.int32)
    ours = jax.jit(lambda *arrays: boxes.nms(*arrays).indices)
    placed = jax.device_put((corners, scores, labels))
    tensors, classes_of = (
        (torch.tensor(corners), torch.tensor(scores)),
        None if labels is None else torch.tensor(labels),
    )

    def theirs() -> tuple[torch.Tensor, ...]:
        with torch.no_grad():
            return (torch_nms(*tensors, classes_of, threshold=0.5),)

    (kept,) = theirs()
    np.testing.assert_array_equal(ours(*placed)[: len(kept)], kept)
    return Comparison(name, {"fjdl": lambda: jax.block_until_ready(ours(*placed)), "PyTorch, a loop": theirs})


def torch_nms(
    corners: torch.Tensor, scores: torch.Tensor, labels: torch.Tensor | None, *, threshold: float
) -> torch.Tensor:
    """The best box stays, all of its class that it overlaps go, and so on."""
    x0, y0, x1, y1 = corners.unbind(1)
    area, order, kept = (x1 - x0) * (y1 - y0), scores.argsort(descending=True, stable=True), []
    while order.numel():
        best, rest = order[0], order[1:]
        kept.append(best)
        width = (torch.minimum(x1[best], x1[rest]) - torch.maximum(x0[best], x0[rest])).clamp(min=0)
        height = (torch.minimum(y1[best], y1[rest]) - torch.maximum(y0[best], y0[rest])).clamp(min=0)
        shared = width * height
        stays = shared / (area[best] + area[rest] - shared) <= threshold
        order = rest[stays if labels is None else stays | (labels[rest] != labels[best])]
    return torch.stack(kept)


def alignment(name: str, regions: int, *, backward: bool) -> Comparison:
    """7 × 7 bins of 2 × 2 samples on 50 × 50 × 256 features; PyTorch's channels come first."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((SIDE // STRIDE, SIDE // STRIDE, CHANNELS), dtype=np.float32)
    upstream = rng.standard_normal((regions, GRID, GRID, CHANNELS), dtype=np.float32)
    given = (x, scene(regions), upstream)
    placed = jax.device_put(given)
    image, corners, above = (torch.tensor(np.moveaxis(a, -1, -3).copy() if a.ndim > 2 else a) for a in given)
    step = jax.jit(aligned_and_back if backward else lambda x, corners, _: (aligned(x, corners),))
    theirs = torch_both(image, corners, above) if backward else torch_forward(image, corners)
    found = [np.moveaxis(np.asarray(a), -1, -3) for a in step(*placed)]
    check(found, theirs())
    return Comparison(name, {"fjdl": lambda: jax.block_until_ready(step(*placed)), "PyTorch, gathers": theirs})


def aligned(x: jax.Array, corners: jax.Array) -> jax.Array:
    """Ours."""
    return roi_align(x, corners, size=GRID, scale=1 / STRIDE, samples=SAMPLES)


def aligned_and_back(x: jax.Array, corners: jax.Array, upstream: jax.Array) -> tuple[jax.Array, ...]:
    """The value, and an upstream gradient pulled back."""
    value, pull = jax.vjp(lambda x: aligned(x, corners), x)
    return value, *pull(upstream)


def torch_forward(image: torch.Tensor, corners: torch.Tensor) -> Callable[[], tuple[torch.Tensor, ...]]:
    """The value."""

    def run() -> tuple[torch.Tensor, ...]:
        with torch.no_grad():
            return (torch_align(image, corners),)

    return run


def torch_both(
    image: torch.Tensor, corners: torch.Tensor, above: torch.Tensor
) -> Callable[[], tuple[torch.Tensor, ...]]:
    """The value and the gradient."""
    leaf = image.clone().requires_grad_(True)

    def run() -> tuple[torch.Tensor, ...]:
        leaf.grad = None
        value = torch_align(leaf, corners)
        value.backward(above)
        return value.detach(), *(() if leaf.grad is None else (leaf.grad,))

    return run


def torch_align(image: torch.Tensor, corners: torch.Tensor) -> torch.Tensor:
    """Four neighbours of each sample, weighed and averaged, with half a pixel's offset: `[k, c, 7, 7]`."""
    (y, below, up, down), (x, right, left, across) = (neighbours(corners, i, image.shape[2 - i]) for i in (1, 0))

    def pixels(rows: torch.Tensor, columns: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return image[:, rows[:, :, None], columns[:, None]] * (a[:, :, None] * b[:, None])

    total = pixels(y, x, up, left) + pixels(y, right, up, across)
    total = total + pixels(below, x, down, left) + pixels(below, right, down, across)
    c, k = total.shape[:2]
    return total.reshape(c, k, GRID, SAMPLES, GRID, SAMPLES).mean((3, 5)).transpose(0, 1)


def neighbours(corners: torch.Tensor, axis: int, length: int) -> tuple[torch.Tensor, ...]:
    """The pixels on both sides of each sample along an axis, and their weights."""
    low, high = corners[:, axis] / STRIDE - 0.5, corners[:, axis + 2] / STRIDE - 0.5
    place = (torch.arange(GRID * SAMPLES) + 0.5) / (GRID * SAMPLES)
    at = low[:, None] + place * (high - low)[:, None]
    inside, at = (at >= -1) & (at <= length), at.clamp(0, length - 1)
    first, share = at.floor().long(), at - at.floor()
    return first, (first + 1).clamp(max=length - 1), (1 - share) * inside, share * inside
