"""What schedules share: their type, the part of the way that is done, checks of options."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np

from fjdl.numerics import signed
from fjdl.typing import Array, Float, Int, Scalar, typed

Number = float | np.floating | np.integer | Scalar  # a traced scalar is welcome, so that it can be learned or injected
Step = Int[Array, "*steps"] | int | np.integer  # one step or an array of them
Schedule = Callable[[Step], Float[Array, "..."]]  # a rate for each step

LAST_STEP = 2**31 - 1


@typed
def elapsed(step: Step) -> Float[Array, "*steps"]:
    """The step as a float32 number."""
    return jnp.asarray(step).astype(jnp.float32)


@typed
def counted(step: Step) -> Int[Array, "*steps"]:
    """The step as an array of 32 bits or more."""
    return signed(jnp.asarray(step), name="step")


@typed
def passed(step: Step, *, boundaries: Sequence[int]) -> Int[Array, "*steps"]:
    """How many of the boundaries lie at or before the step."""
    step = counted(step)
    marks = jnp.asarray(boundaries, step.dtype).reshape(len(boundaries), *[1] * step.ndim)
    return jnp.sum(step[None] >= marks, axis=0)


@typed
def progress(step: Step, *, steps: float) -> Float[Array, "*steps"]:
    """The part of `steps` that lies behind `step`, in [0, 1]."""
    return jnp.clip(elapsed(step) / steps, 0.0, 1.0)


@typed
def interpolated(
    start: Number | Float[Array, "*steps"], end: Number | Float[Array, "*steps"], part: Float[Array, "*steps"]
) -> Float[Array, "*steps"]:
    """(1 − part) · start + part · end, exact at both ends."""
    return (1 - part) * start + part * end


@typed
def half_wave(part: Float[Array, "*steps"]) -> Float[Array, "*steps"]:
    """sin²(π/2 · part) = ½ (1 − cos(π part)), which rises from 0 to 1 without the cancellation of the second form."""
    return jnp.square(jnp.sin(0.5 * jnp.pi * part))


def require_boundaries(boundaries: Sequence[int], *, parts: int) -> None:
    """Raises `ValueError` unless they are positive, rising, and one fewer than the parts that they separate."""
    if len(boundaries) != parts - 1:
        raise ValueError(f"{parts} parts need {parts - 1} boundaries, got {len(boundaries)}")
    if any(a >= b for a, b in zip([0, *boundaries], boundaries, strict=False)):
        raise ValueError(f"boundaries must be positive and rise, got {list(boundaries)}")
