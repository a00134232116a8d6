"""Every optimizer with its outside oracles: a new optimizer is one new row under all the laws of `test_laws.py`."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import optax
import torch

from fjdl import optim


class Row(NamedTuple):
    """One optimizer under the laws."""

    factory: Callable[..., optax.GradientTransformation]
    options: dict[str, float]
    torch: Callable[..., torch.optim.Optimizer]  # (parameters, lr=…)
    optax: Callable[..., optax.GradientTransformation]  # (learning_rate)
    quadratic: tuple[float, float, float]  # w after 1, 2, 3 steps on f(w) = w² from w = 1 at rate 0.1
    rate: float = 0.01  # a good one for Rosenbrock's valley

    def ours(self, learning_rate: Any) -> optax.GradientTransformation:
        return self.factory(learning_rate, **self.options)


SGD = torch.optim.SGD

ROWS = {
    "sgd": Row(optim.sgd, {}, SGD, optax.sgd, (0.8, 0.64, 0.512), rate=1e-3),
    "momentum": Row(
        optim.momentum,
        {"momentum": 0.9},
        partial(SGD, momentum=0.9),
        partial(optax.sgd, momentum=0.9),
        (0.8, 0.46, 0.062),
        rate=1e-4,
    ),
    "nesterov": Row(
        optim.nesterov,
        {"momentum": 0.9},
        partial(SGD, momentum=0.9, nesterov=True),
        partial(optax.sgd, momentum=0.9, nesterov=True),
        (0.62, 0.2224, -0.108352),
        rate=1e-4,
    ),
    "adam": Row(
        optim.adam,
        {"b1": 0.9, "b2": 0.999, "eps": 1e-8},
        torch.optim.Adam,
        optax.adam,
        (0.9, 0.80041223, 0.70158627),
    ),
    "adamw": Row(
        optim.adamw,
        {"weight_decay": 0.01},
        partial(torch.optim.AdamW, weight_decay=0.01),
        partial(optax.adamw, weight_decay=0.01),
        (0.899, 0.79851903, 0.69891118),
    ),
}
