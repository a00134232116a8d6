"""Learning-rate schedules: each factory returns a pure function from the step to a float32 scalar.

An array of steps gives the array of their rates. A schedule is defined at step 0, holds its last value after its last
step, up to step 2**31 - 1, and may be called inside `jax.jit` with a traced step. Any optax schedule fits wherever one
of these does, and the other way round. May import floor 0 alone.

>>> from fjdl import schedules
>>> rate = schedules.linear(peak=1.0, steps=4)
>>> rate(jnp.arange(6))
Array([1.  , 0.75, 0.5 , 0.25, 0.  , 0.  ], dtype=float32)
"""

from typing import TYPE_CHECKING

from fjdl.names import other_names
from fjdl.schedules.base import Schedule, Step
from fjdl.schedules.cycles import cosine_restarts, cyclic, one_cycle, one_cycle_momentum
from fjdl.schedules.decay import (
    constant,
    cosine,
    exponential,
    geometric,
    inverse_sqrt,
    inverse_time,
    linear,
    piecewise_constant,
    polynomial,
    step_decay,
)
from fjdl.schedules.joined import join, warmup, warmup_cosine, warmup_inverse_sqrt

__all__ = [
    "Schedule",
    "Step",
    "constant",
    "cosine",
    "cosine_restarts",
    "cyclic",
    "exponential",
    "geometric",
    "inverse_sqrt",
    "inverse_time",
    "join",
    "linear",
    "one_cycle",
    "one_cycle_momentum",
    "piecewise_constant",
    "polynomial",
    "step_decay",
    "warmup",
    "warmup_cosine",
    "warmup_inverse_sqrt",
]


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
