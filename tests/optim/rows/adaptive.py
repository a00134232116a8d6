"""Methods that scale each entry by the history of its gradients."""

from functools import partial
from typing import Any

import optax
import torch

from fjdl.optim.adadelta import adadelta
from fjdl.optim.adagrad import adagrad
from fjdl.optim.adamax import adamax
from fjdl.optim.amsgrad import amsgrad
from fjdl.optim.nadam import nadam, nadam_scheduled
from fjdl.optim.radam import radam
from fjdl.optim.rmsprop import centred_rmsprop, rmsprop
from tests.optim.rows.row import Row

MOMENTS = {"b1": 0.9, "b2": 0.999, "eps": 1e-8}


class NAdam:
    """PyTorch's own, which otherwise keeps the product of its momenta in float32 beside float64 moments."""

    def __init__(self, tensors: Any, lr: float) -> None:
        self.inner = torch.optim.NAdam(tensors, lr=lr)
        self.param_groups = self.inner.param_groups

    def step(self) -> None:
        torch.set_default_dtype(torch.float64)
        try:
            self.inner.step()
        finally:
            torch.set_default_dtype(torch.float32)


ROWS: dict[str, Row] = {
    "adagrad": Row(
        adagrad,
        {"initial": 0.0, "eps": 1e-10},
        lambda p, lr: torch.optim.Adagrad(p, lr, eps=1e-10),
        quadratic=(0.9, 0.83310353, 0.78045618),
        parabola=0.5,
        rate=0.5,
    ),
    "rmsprop": Row(
        rmsprop,
        {"decay": 0.9, "eps": 1e-8},
        lambda p, lr: torch.optim.RMSprop(p, lr, alpha=0.9, eps=1e-8),
        partial(optax.rmsprop, eps_in_sqrt=False),
        quadratic=(0.68377224, 0.49887061, 0.36918056),
        rate=1e-3,
    ),
    "centred_rmsprop": Row(
        centred_rmsprop,
        {"decay": 0.9, "eps": 1e-8, "momentum": 0.5},
        lambda p, lr: torch.optim.RMSprop(p, lr, alpha=0.9, centered=True, momentum=0.5),
        parabola=1e-3,
        rate=1e-3,
    ),
    "adadelta": Row(
        adadelta,
        {"decay": 0.9, "eps": 1e-6},
        lambda p, lr: torch.optim.Adadelta(p, lr),
        optax.adadelta,
        quadratic=(0.99683773, 0.99359817, 0.99030905),
        quadratic_rate=1.0,
        parabola=1.0,
        rate=0.1,
    ),
    "adamax": Row(
        adamax, MOMENTS, lambda p, lr: torch.optim.Adamax(p, lr), optax.adamax, quadratic=(0.9, 0.80516833, 0.71549947)
    ),
    "nadam": Row(nadam, MOMENTS, optax=optax.nadam, quadratic=(0.85263158, 0.74169716, 0.64061128)),
    "nadam_scheduled": Row(nadam_scheduled, {**MOMENTS, "momentum_decay": 4e-3}, NAdam),
    "amsgrad": Row(amsgrad, MOMENTS, lambda p, lr: torch.optim.Adam(p, lr, amsgrad=True)),
    "radam": Row(radam, MOMENTS, lambda p, lr: torch.optim.RAdam(p, lr), rate=1e-3),
}
