"""One optimizer and its outside oracles."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from optax import GradientTransformation

# The learning rate of each step, from 0, to a step `(w, g) -> w` of one float64 array that keeps its state to itself.
Reference = Callable[[Callable[[int], float]], Callable[[np.ndarray, np.ndarray], np.ndarray]]


class Row(NamedTuple):
    """One optimizer under the laws.

    At least one of `torch`, `optax` and `reference` is its oracle: PyTorch, optax, or the paper's pseudocode in numpy
    for what neither has or both define otherwise.
    """

    factory: Callable[..., GradientTransformation]
    options: dict[str, Any]
    torch: Callable[..., Any] | None = None  # (parameters, lr=…) to a torch.optim.Optimizer
    optax: Callable[..., Any] | None = None  # (learning_rate)
    reference: Reference | None = None
    quadratic: tuple[float, float, float] | None = None  # w after 1, 2, 3 steps on f(w) = w² from 1, rate below
    quadratic_rate: float = 0.1
    parabola: float = 0.01  # a rate that finds the minimum of a parabola in 2,000 steps
    rate: float = 0.01  # a good one for Rosenbrock's valley
    still: bool = True  # zero gradients move nothing, once weight decay is 0
    rounded: bool = True  # with coarse gradients, its bfloat16 update is the float32 one rounded
    layout_free: bool = True  # each entry moves by itself, whatever the shapes of the leaves
    real_only: bool = False  # refuses complex leaves
    mixes: bool = False  # the update of a leaf depends on the others

    def ours(self, learning_rate: Any) -> GradientTransformation:
        return self.factory(learning_rate, **self.options)
