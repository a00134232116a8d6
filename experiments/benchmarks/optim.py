"""One optimizer step, update and addition to the parameters: fjdl jitted against optax jitted and PyTorch fused."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

from experiments.benchmarks.comparison import Comparison
from fjdl import optim

RATE = 1e-3
Shapes = list[tuple[int, ...]]
ODD: dict[str, tuple[Shapes, Shapes]] = {  # an odd number of entries beside about as many that two cores share evenly
    "160 odd vectors": ([(159_731,)] * 160, [(159_732,)] * 160),
    "one odd vector": ([(25_557_031,)], [(25_557_032,)]),
    "one odd matrix": ([(5001, 5111)], [(5002, 5110)]),
}


class Contest(NamedTuple):
    """One method in three libraries, None where a library lacks it or defines it otherwise, and its least traffic."""

    ours: optax.GradientTransformation
    optax: optax.GradientTransformation | None
    torch: Callable[..., Any] | None
    bytes: int  # per float32 parameter: gradient and state read once, parameter and state written once


def contests() -> dict[str, Contest]:
    """Every method that has a peer."""
    t = torch.optim
    return {
        "sgd": Contest(optim.sgd(RATE), optax.sgd(RATE), t.SGD, 12),
        "momentum": Contest(optim.momentum(RATE), optax.sgd(RATE, 0.9), partial(t.SGD, momentum=0.9), 20),
        "nesterov": Contest(
            optim.nesterov(RATE),
            optax.sgd(RATE, 0.9, nesterov=True),
            partial(t.SGD, momentum=0.9, nesterov=True),
            20,
        ),
        "adagrad": Contest(optim.adagrad(RATE), optax.adagrad(RATE), t.Adagrad, 20),
        "rmsprop": Contest(optim.rmsprop(RATE), optax.rmsprop(RATE), t.RMSprop, 20),
        "adadelta": Contest(optim.adadelta(RATE), optax.adadelta(RATE), t.Adadelta, 28),
        "adam": Contest(optim.adam(RATE), optax.adam(RATE), t.Adam, 28),
        "adamw": Contest(
            optim.adamw(RATE, weight_decay=0.01),
            optax.adamw(RATE, weight_decay=0.01),
            partial(t.AdamW, weight_decay=0.01),
            28,
        ),
        "adamax": Contest(optim.adamax(RATE), optax.adamax(RATE), t.Adamax, 28),
        "nadam": Contest(optim.nadam(RATE), optax.nadam(RATE), None, 28),
        "nadam_scheduled": Contest(optim.nadam_scheduled(RATE), None, t.NAdam, 28),
        "amsgrad": Contest(optim.amsgrad(RATE), optax.amsgrad(RATE), partial(t.Adam, amsgrad=True), 36),
        "radam": Contest(optim.radam(RATE), optax.radam(RATE), t.RAdam, 28),
        "lion": Contest(optim.lion(RATE), optax.lion(RATE, weight_decay=0.0), None, 20),
        "lamb": Contest(optim.lamb(RATE), optax.lamb(RATE), None, 28),
        "lars": Contest(optim.lars(RATE), optax.lars(RATE), None, 20),
        "adafactor": Contest(optim.adafactor(RATE), optax.adafactor(RATE), None, 16),
    }


def comparisons(only: str) -> Iterator[Comparison]:
    """Each method whose name contains `only`, on the leaves of ResNet-50, in one leaf, and on leaves of odd sizes."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    leaves = resnet50()
    one = [(sum(int(np.prod(shape)) for shape in leaves),)]
    for name, contest in contests().items():
        if only not in name:
            continue
        for where, shapes in (("161 leaves", leaves), ("one leaf", one)):
            ours, traffic = jitted(contest.ours, shapes)
            title = f"{name}, {where}: {traffic:.0f} of {contest.bytes} B"
            if contest.torch is not None:
                yield Comparison(title, {"fjdl": ours, "PyTorch": fused(contest.torch, shapes)})
            if contest.optax is not None:
                yield Comparison(title, {"fjdl": ours, "optax": jitted(contest.optax, shapes)[0]})
        for where, pair in ODD.items():
            odd, even = (jitted(contest.ours, shapes)[0] for shapes in pair)
            yield Comparison(f"{name}, {where}", {"fjdl": odd, "fjdl, even": even})


def resnet50() -> Shapes:
    """The 161 arrays of ResNet-50's parameters: kernels, scales and shifts."""
    shapes: Shapes = [(7, 7, 3, 64), (64,), (64,)]
    width_in = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            kernels = [(1, 1, width_in, width), (3, 3, width, width), (1, 1, width, 4 * width)]
            if block == 0:
                kernels.append((1, 1, width_in, 4 * width))
            for kernel in kernels:
                shapes += [kernel, (kernel[-1],), (kernel[-1],)]
            width_in = 4 * width
    return [*shapes, (2048, 1000), (1000,)]


def jitted(optimizer: optax.GradientTransformation, shapes: Shapes) -> tuple[Callable[[], Any], float]:
    """A step that reuses the memory of parameters and state, and the bytes it moves for each parameter."""

    def step(params: Any, state: Any, grads: Any) -> tuple[Any, Any]:
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    params, grads = ([jnp.asarray(array) for array in arrays(shapes, seed)] for seed in (0, 1))
    held = [params, optimizer.init(params)]
    compiled = jax.jit(step, donate_argnums=(0, 1)).lower(*held, grads).compile()
    cost: Any = compiled.cost_analysis()

    def run() -> None:
        held[:] = jax.block_until_ready(compiled(*held, grads))

    return run, cost["bytes accessed"] / sum(p.size for p in params)


def fused(optimizer: Callable[..., Any], shapes: Shapes) -> Callable[[], Any]:
    """PyTorch's best on the same kind of device: its fused kernel where it has one, else whole lists at once."""
    device = torch.device("cuda" if jax.default_backend() == "gpu" else "cpu")
    tensors = [torch.nn.Parameter(torch.tensor(array, device=device)) for array in arrays(shapes, 0)]
    for tensor, gradient in zip(tensors, arrays(shapes, 1), strict=True):
        tensor.grad = torch.tensor(gradient, device=device)
    try:
        step = optimizer(tensors, lr=RATE, fused=True).step
    except (TypeError, RuntimeError):
        step = optimizer(tensors, lr=RATE, foreach=True).step
    return step if device.type == "cpu" else lambda: (step(), torch.cuda.synchronize())


def arrays(shapes: Shapes, seed: int) -> list[np.ndarray]:
    """Parameters or gradients of the size that trained networks have."""
    rng = np.random.default_rng(seed)
    return [np.float32(0.05) * rng.standard_normal(shape, dtype=np.float32) for shape in shapes]
