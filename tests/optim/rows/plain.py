"""Gradient descent, momentum, Adam and AdamW."""

from collections.abc import Callable
from functools import partial

import numpy as np
import optax
import torch

from fjdl import optim
from tests.optim.rows.row import Row


def heavy_ball(rate: Callable[[int], float]) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    step, velocity = 0, 0.0

    def update(w: np.ndarray, g: np.ndarray) -> np.ndarray:
        nonlocal step, velocity
        velocity = 0.9 * velocity - rate(step) * g
        step += 1
        return w + velocity

    return update


ROWS = {
    "sgd": Row(optim.sgd, {}, lambda p, lr: torch.optim.SGD(p, lr), optax.sgd, quadratic=(0.8, 0.64, 0.512), rate=1e-3),
    "momentum": Row(
        optim.momentum,
        {"momentum": 0.9},
        lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9),
        partial(optax.sgd, momentum=0.9),
        quadratic=(0.8, 0.46, 0.062),
        rate=1e-4,
    ),
    "heavy_ball": Row(
        optim.heavy_ball,
        {"momentum": 0.9},
        reference=heavy_ball,
        quadratic=(0.8, 0.46, 0.062),
        rate=1e-4,
    ),
    "nesterov": Row(
        optim.nesterov,
        {"momentum": 0.9},
        lambda p, lr: torch.optim.SGD(p, lr, momentum=0.9, nesterov=True),
        partial(optax.sgd, momentum=0.9, nesterov=True),
        quadratic=(0.62, 0.2224, -0.108352),
        rate=1e-4,
    ),
    "adam": Row(
        optim.adam,
        {"b1": 0.9, "b2": 0.999, "eps": 1e-8},
        lambda p, lr: torch.optim.Adam(p, lr),
        optax.adam,
        quadratic=(0.9, 0.80041223, 0.70158627),
    ),
    "adamw": Row(
        optim.adamw,
        {"weight_decay": 0.01},
        lambda p, lr: torch.optim.AdamW(p, lr, weight_decay=0.01),
        partial(optax.adamw, weight_decay=0.01),
        quadratic=(0.899, 0.79851903, 0.69891118),
    ),
}
