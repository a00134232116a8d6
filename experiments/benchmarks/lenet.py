"""A training step of LeNet-5: fjdl alone, fjdl in an epoch's scan, and the same network in PyTorch."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fjdl.batch import EXAMPLE_MASK
from fjdl.data.source import Splits, from_arrays
from fjdl.models import LeNet5
from fjdl.nn import Model, pure
from fjdl.optim import momentum
from fjdl.train.mesh import make_mesh
from fjdl.train.program import compile_program
from fjdl.train.recipe import Recipe
from fjdl.train.resident import place
from fjdl.train.step import make_train_step
from fjdl.train.tasks import classification


def contestants(batch_size: int, steps: int) -> dict[str, Callable[[], Any]]:
    """Functions that take `steps` training steps each; the peer comes last."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch_size * steps, 28, 28, 1), dtype=np.uint8)
    labels = rng.integers(0, 10, batch_size * steps).astype(np.int32)
    arrays = {"image": images, "label": labels}
    return {
        "fjdl, one jitted step": single_steps(recipe(images, labels, batch_size), arrays, steps),
        "fjdl, epoch scan": epoch_scan(recipe(images, labels, batch_size), arrays),
        "fjdl, epoch scan, bfloat16": epoch_scan(recipe(images, labels, batch_size, "bfloat16"), arrays),
        "PyTorch, compiled": torch_steps(images, labels, batch_size, compiled=True),
        "PyTorch": torch_steps(images, labels, batch_size, compiled=False),
    }


def recipe(
    images: np.ndarray, labels: np.ndarray, batch_size: int, precision: Any = "float32", model: Model | None = None
) -> Recipe:
    """A network, LeNet-5 by default, with momentum on these images."""
    source = from_arrays({"image": images, "label": labels})
    task = classification(10)
    return Recipe(
        splits=lambda: Splits(name="noise", train=source, validation=source, test=source, classes=tuple("0123456789")),
        model=pure(LeNet5()) if model is None else model,
        inputs=lambda batch: batch["image"].astype(jnp.float32) * (1 / 255),
        loss=task.loss,
        metrics=task.metrics,
        optimizer=lambda steps: momentum(0.01, momentum=0.9),
        epochs=1,
        batch_size=batch_size,
        precision=precision,
    )


def single_steps(recipe: Recipe, arrays: Mapping[str, np.ndarray], steps: int) -> Callable[[], None]:
    """Each step one call, its batch already on the device."""
    examples = len(next(iter(arrays.values())))
    mesh = make_mesh()
    step = jax.jit(make_train_step(recipe, mesh, steps=steps), donate_argnums=0)
    program = compile_program(recipe, mesh, examples=examples, example={name: a[0] for name, a in arrays.items()})
    parts = {name: np.split(a, steps) for name, a in arrays.items()}
    batches = [
        {name: jnp.asarray(part[i]) for name, part in parts.items()} | {EXAMPLE_MASK: jnp.ones(examples // steps)}
        for i in range(steps)
    ]
    state = program.init()

    def run() -> None:
        nonlocal state
        for batch in batches:
            state, _ = step(state, batch)
        jax.block_until_ready(state)

    return run


def epoch_scan(recipe: Recipe, arrays: Mapping[str, np.ndarray]) -> Callable[[], None]:
    """All steps in one call, as in training: permutation, gather, scan."""
    mesh = make_mesh()
    examples = len(next(iter(arrays.values())))
    program = compile_program(recipe, mesh, examples=examples, example={name: a[0] for name, a in arrays.items()})
    placed = place(recipe.splits().train, mesh)
    state = program.init()

    def run() -> None:
        nonlocal state
        state, _ = program.epoch(state, placed)
        jax.block_until_ready(state)

    return run


def torch_steps(images: np.ndarray, labels: np.ndarray, batch_size: int, *, compiled: bool) -> Callable[[], None]:
    """The same network, loss and optimizer in PyTorch on the same kind of device, its batches ready as floats."""
    import torch
    from torch import nn

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    device = torch.device("cuda" if jax.default_backend() == "gpu" else "cpu")
    network = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    ).to(device)  # fmt: skip
    optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9)
    forward = torch.compile(network) if compiled else network
    batches = list(
        zip(
            torch.tensor(images.transpose(0, 3, 1, 2), dtype=torch.float32, device=device).div(255).split(batch_size),
            torch.tensor(labels, dtype=torch.int64, device=device).split(batch_size),
            strict=True,
        )
    )

    def run() -> None:
        for x, y in batches:
            optimizer.zero_grad()
            nn.functional.cross_entropy(forward(x), y).backward()
            optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    return run
