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
