"""Methods that scale each entry by the history of its gradients."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import torch

from fjdl.optim.adabelief import adabelief
from fjdl.optim.adadelta import adadelta
from fjdl.optim.adagrad import adagrad
from fjdl.optim.adamax import adamax
from fjdl.optim.adan import adan
from fjdl.optim.amsgrad import amsgrad
from fjdl.optim.nadam import nadam, nadam_scheduled, nadamw
from fjdl.optim.radam import radam
from fjdl.optim.rmsprop import centred_rmsprop, rmsprop
from fjdl.optim.rprop import rprop
from fjdl.optim.yogi import yogi
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


def yogi_from_zero(learning_rate: Any) -> optax.GradientTransformation:
    """optax's own, whose mean would start at 1e-6."""
    inner = optax.yogi(learning_rate)

    def init(params: Any) -> Any:
        state, *rest = inner.init(params)
        return (state._replace(mu=jax.tree.map(jnp.zeros_like, state.mu)), *rest)

    return optax.GradientTransformation(init, inner.update)


def adan_in_numpy(rate: Callable[[int], float]) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """The paper's algorithm, with b for its 1 − β; optax has 1 − b2 for b2."""
    step, m, v, n, last = 0, 0.0, 0.0, 0.0, None

    def update(w: np.ndarray, g: np.ndarray) -> np.ndarray:
        nonlocal step, m, v, n, last
        change, last, step = g - (g if last is None else last), g, step + 1
        m, v = 0.98 * m + 0.02 * g, 0.92 * v + 0.08 * change
        n = 0.99 * n + 0.01 * (g + 0.92 * change) ** 2
        ahead = m / (1 - 0.98**step) + 0.92 * v / (1 - 0.92**step)
        return w - rate(step - 1) * (ahead / (np.sqrt(n / (1 - 0.99**step)) + 1e-8) + 0.01 * w)

    return update


def rprop_in_numpy(rate: Callable[[int], float]) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    size, last = rate(0), 0.0

    def update(w: np.ndarray, g: np.ndarray) -> np.ndarray:
        nonlocal size, last
        turn = np.sign(g) * last
        size = np.clip(size * np.choose(np.int32(turn) + 1, [0.5, 1.0, 1.2]), 1e-6, 50.0)
        last = np.where(turn < 0, 0.0, np.sign(g))
        return w - size * last

    return update


ROWS: dict[str, Row] = {
    "adabelief": Row(
        adabelief,
        {"b1": 0.9, "b2": 0.999, "eps": 1e-16, "eps_root": 1e-16},
        optax=optax.adabelief,
        quadratic=(0.88888889, 0.77272909, 0.65230537),
    ),
    "yogi": Row(
        yogi,
        {"b1": 0.9, "b2": 0.999, "eps": 1e-3, "initial": 1e-6},
        optax=yogi_from_zero,
        quadratic=(0.90006246, 0.80056099, 0.70185),
    ),
    "adan": Row(
        adan,
        {"b1": 0.98, "b2": 0.92, "b3": 0.99, "eps": 1e-8, "weight_decay": 0.01},
        reference=adan_in_numpy,
        quadratic=(0.899, 0.79888886, 0.69947255),
    ),
    "nadamw": Row(
        nadamw,
        {"weight_decay": 0.01},
        optax=partial(optax.nadamw, weight_decay=0.01),
        quadratic=(0.85163158, 0.73988315, 0.63811821),
    ),
    "rprop": Row(
        rprop,
        {"shrink": 0.5, "growth": 1.2, "smallest": 1e-6, "largest": 50.0},
        lambda p, lr: torch.optim.Rprop(p, lr),
        reference=rprop_in_numpy,
        quadratic=(0.9, 0.78, 0.636),
        real_only=True,
    ),
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
