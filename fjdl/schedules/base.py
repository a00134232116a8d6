"""What schedules share: their type, the part of the way that is done, checks of options."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp

from fjdl.typing import Array, Float, Int, Scalar, typed

Step = Int[Array, ""] | int
Schedule = Callable[[Step], Scalar]

LAST_STEP = 2**31 - 1


@typed
def elapsed(step: Step) -> Float[Array, ""]:
    """The step as a float32 number."""
    return jnp.asarray(step).astype(jnp.float32)


@typed
def progress(step: Step, *, steps: float) -> Float[Array, ""]:
    """The part of `steps` that lies behind `step`, in [0, 1]."""
    return jnp.clip(elapsed(step) / steps, 0.0, 1.0)


@typed
def between(start: float | Scalar, end: float | Scalar, part: Scalar) -> Float[Array, ""]:
    """(1 − part) · start + part · end, exact at both ends."""
    return (1 - part) * start + part * end


@typed
def half_wave(part: Scalar) -> Float[Array, ""]:
    """sin²(π/2 · part) = ½ (1 − cos(π part)), which rises from 0 to 1 without the cancellation of the second form."""
    return jnp.square(jnp.sin(0.5 * jnp.pi * part))


def require_boundaries(boundaries: Sequence[int], *, parts: int) -> None:
    """Raises `ValueError` unless they are positive, rising, and one fewer than the parts that they separate."""
    if len(boundaries) != parts - 1:
        raise ValueError(f"{parts} parts need {parts - 1} boundaries, got {len(boundaries)}")
    if any(a >= b for a, b in zip([0, *boundaries], boundaries, strict=False)):
        raise ValueError(f"boundaries must be positive and rise, got {list(boundaries)}")
