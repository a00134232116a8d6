"""Augmentation of small images: fjdl jitted over the batch, PyTorch with batched tensor operations."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from experiments.benchmarks.comparison import Comparison
from fjdl import augment

PAD = 4


def comparisons(batch_size: int) -> Iterator[Comparison]:
    """The whole pipeline, and each of its three parts."""
    images = np.random.default_rng(0).uniform(size=(batch_size, 32, 32, 3)).astype(np.float32)
    ours = {
        "crop": augment.each_image(lambda key, image: augment.random_crop(key, image, size=(32, 32), padding=PAD)),
        "flip": augment.each_image(augment.random_mirror),
        "colour": augment.each_image(color),
        "crop, flip and colour": augment.each_image(
            lambda key, image: augment.random_crop(key, image, size=(32, 32), padding=PAD),
            augment.random_mirror,
            color,
        ),
    }
    theirs = {
        "crop": torch_crop,
        "flip": torch_flip,
        "colour": torch_color,
        "crop, flip and colour": lambda x: torch_color(torch_flip(torch_crop(x))),
    }
    for name, function in ours.items():
        yield pair(name, function, theirs[name], images)


def color(key: Any, image: Any) -> Any:
    """Brightness, contrast and saturation, each by a factor from 0.6 to 1.4."""
    return augment.random_color_jitter(key, image, brightness=0.4, contrast=0.4, saturation=0.4)


def torch_crop(x: torch.Tensor) -> torch.Tensor:
    """A window of the padded image per example, gathered for the whole batch at once."""
    n, _, h, w = x.shape
    padded = torch.nn.functional.pad(x, (PAD, PAD, PAD, PAD))
    top, left = torch.randint(0, 2 * PAD + 1, (2, n, 1))
    rows, columns = top + torch.arange(h), left + torch.arange(w)
    picked = torch.arange(n)[:, None, None]
    return padded.permute(0, 2, 3, 1)[picked, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def torch_flip(x: torch.Tensor) -> torch.Tensor:
    """Left and right exchanged for every second image on average."""
    return torch.where(torch.rand(x.shape[0], 1, 1, 1) < 0.5, x.flip(-1), x)


def torch_color(x: torch.Tensor) -> torch.Tensor:
    """The three blends of torchvision's formulas, batched."""
    brightness, contrast, saturation = 0.6 + 0.8 * torch.rand(3, x.shape[0], 1, 1, 1)
    weights = torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)
    x = (x * brightness).clamp(0, 1)
    mean = (x * weights).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    x = (contrast * x + (1 - contrast) * mean).clamp(0, 1)
    grey = (x * weights).sum(1, keepdim=True)
    return (saturation * x + (1 - saturation) * grey).clamp(0, 1)


def pair(name: str, ours: Callable[..., Any], theirs: Callable[..., Any], images: np.ndarray) -> Comparison:
    """Both from images that lie ready, in the layout each library prefers; keys and random numbers included."""
    jitted, placed = jax.jit(ours), {"image": jnp.asarray(images)}
    tensor = torch.tensor(images.transpose(0, 3, 1, 2).copy())
    number = iter(range(10**9))
    return Comparison(
        name,
        {
            "fjdl": lambda: jax.block_until_ready(jitted(jax.random.key(next(number)), placed)),
            "PyTorch": lambda: theirs(tensor),
        },
    )
