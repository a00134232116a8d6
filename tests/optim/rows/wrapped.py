"""Methods around another method."""

from collections.abc import Callable, Sequence

import numpy as np
import optax
import torch

from fjdl import optim
from fjdl.optim.base import LearningRate
from fjdl.optim.groups import partition
from fjdl.optim.guard import skip_non_finite
from fjdl.optim.lookahead import lookahead
from tests.optim.rows.row import Row


def slow_weights(rate: Callable[[int], float]) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    step, slow = 0, None

    def update(w: np.ndarray, g: np.ndarray) -> np.ndarray:
        nonlocal step, slow
        slow = w if slow is None else slow
        w = w - rate(step) * g
        step += 1
        if step % 2 == 0:
            w = slow = slow + 0.5 * (w - slow)
        return w

    return update


def lookahead_sgd(learning_rate: LearningRate, *, rate: float) -> optax.GradientTransformation:
    return lookahead(optim.sgd(learning_rate), every=2, rate=rate)


def averaged_descent(rate: Callable[[int], float]) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """x, y and z of the paper."""
    step, largest, total, x, z = 0, 0.0, 0.0, None, None

    def update(y: np.ndarray, g: np.ndarray) -> np.ndarray:
        nonlocal step, largest, total, x, z
        x, z = (y, y) if x is None else (x, z)
        largest = max(largest, rate(step))
        total += largest**2
        z = z - rate(step) * g
        x = x + largest**2 / total * (z - x)
        step += 1
        return 0.1 * z + 0.9 * x

    return update


def schedule_free_sgd(learning_rate: LearningRate, *, momentum: float, power: float) -> optax.GradientTransformation:
    return optim.schedule_free(optim.sgd(learning_rate), learning_rate, momentum=momentum, power=power)


def guarded_adam(learning_rate: LearningRate) -> optax.GradientTransformation:
    return skip_non_finite(optim.adam(learning_rate))


def adam_in_groups(
    learning_rate: LearningRate, patterns: Sequence[str] = ("(.*kernel|hidden|0)?", ".*")
) -> optax.GradientTransformation:
    return partition([(pattern, optim.adam(learning_rate)) for pattern in patterns])


ROWS: dict[str, Row] = {
    "lookahead": Row(
        lookahead_sgd, {"rate": 0.5}, reference=slow_weights, quadratic=(0.8, 0.82, 0.656), parabola=0.1, rate=1e-3
    ),
    "schedule_free": Row(
        schedule_free_sgd,
        {"momentum": 0.9, "power": 2.0},
        reference=averaged_descent,
        quadratic=(0.8, 0.712, 0.63104),
        parabola=0.1,
        rate=1e-3,
    ),
    "skip_non_finite": Row(
        guarded_adam,
        {},
        lambda p, lr: torch.optim.Adam(p, lr),
        optax.adam,
        quadratic=(0.9, 0.80041223, 0.70158627),
        mixes=True,
    ),
    "partition": Row(
        adam_in_groups, {}, lambda p, lr: torch.optim.Adam(p, lr), optax.adam, quadratic=(0.9, 0.80041223, 0.70158627)
    ),
}
