"""Schedules at many steps in one call, ours and PyTorch's."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from fjdl.schedules import Schedule

LAST = 2**31 - 1


def at(schedule: Schedule, steps: Sequence[int]) -> np.ndarray:
    """The values at these steps, compiled once, with the promises that every schedule makes."""
    with jax.numpy_dtype_promotion("strict"):
        values = jax.jit(jax.vmap(schedule))(jnp.asarray(steps, jnp.int32))
        alone = schedule(jnp.asarray(steps[0], jnp.int32))
    assert (values.dtype, alone.dtype, alone.shape) == (jnp.float32, jnp.float32, ())
    np.testing.assert_allclose(alone, values[0], rtol=1e-6, atol=1e-9)
    return np.asarray(values, np.float64)


def of_torch(build: Callable[[Any], Any], *, rate: float, steps: int, field: str = "lr") -> np.ndarray:
    """What a scheduler of `torch.optim.lr_scheduler` makes of a rate in the steps 0, 1, …, steps − 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=rate, momentum=0.9)
    scheduler, values = build(optimizer), []
    for step in range(steps):
        values.append(float(optimizer.param_groups[0][field]))
        optimizer.step()
        if step + 1 < steps:
            scheduler.step()
    return np.asarray(values)
