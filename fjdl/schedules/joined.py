"""Schedules one after the other, above all a warm-up before another one."""

from collections.abc import Sequence

import jax.numpy as jnp

from fjdl.checks import at_least, within
from fjdl.schedules.base import (
    Number,
    Schedule,
    Step,
    counted,
    elapsed,
    interpolated,
    progress,
    require_boundaries,
)
from fjdl.schedules.decay import cosine
from fjdl.typing import Array, Float, typed


@typed
def join(schedules: Sequence[Schedule], *, boundaries: Sequence[int]) -> Schedule:
    """Each schedule in turn, counted from its own boundary: number i from step `boundaries[i − 1]`, itself included.

    Equal to `optax.join_schedules` and `torch.optim.lr_scheduler.SequentialLR`, but a schedule is never called with a
    negative step. Raises `ValueError` unless the boundaries are positive, rising and one fewer than the schedules.
    """
    require_boundaries(boundaries, parts=len(schedules))

    @typed
    def joined(step: Step) -> Float[Array, "*steps"]:
        step = counted(step)
        value = schedules[0](step)
        for schedule, start in zip(schedules[1:], boundaries, strict=True):
            value = jnp.where(step < start, value, schedule(jnp.maximum(step - start, 0)))
        return value.astype(jnp.float32)

    return joined


@typed
def warmup(schedule: Schedule, *, steps: int, start: Number = 0.0) -> Schedule:
    """A straight line from `start` to `schedule(0)` over `steps` steps, then `schedule` counted from there.

    Equal to `optax.join_schedules` of a linear schedule and `schedule`. With `start=0` the very first update is exactly
    zero. Raises `ValueError` where `steps` is not positive, and where `start` is negative or not finite.
    """
    within("(0, inf]", steps=steps)
    within("[0, inf)", start=start)

    @typed
    def ramp(step: Step) -> Float[Array, "*steps"]:
        goal = schedule(jnp.zeros_like(counted(step)))
        return interpolated(start, goal, progress(step, steps=steps)).astype(jnp.float32)

    return join([ramp, schedule], boundaries=[steps])


@typed
def warmup_cosine(*, peak: Number, warmup_steps: int, steps: int, final: Number = 0.0) -> Schedule:
    """A line from 0 to `peak` over `warmup_steps`, then half a cosine that reaches `final` at step `steps` in all.

    Goyal et al. 2017, arXiv:1706.02677, for the warm-up; equal to `optax.warmup_cosine_decay_schedule(0, peak,
    warmup_steps, steps, final)`. Without warm-up steps it begins with `peak`. Raises `ValueError` where their number is
    negative or that of the whole.

    >>> warmup_cosine(peak=1.0, warmup_steps=4, steps=8)(jnp.array([0, 2, 4, 8]))
    Array([0. , 0.5, 1. , 0. ], dtype=float32)
    """
    at_least(0, warmup_steps=warmup_steps)
    if warmup_steps >= steps:
        raise ValueError(f"warmup_steps must be smaller than steps, got warmup_steps={warmup_steps} and steps={steps}")
    fall = cosine(peak=peak, steps=steps - warmup_steps, final=final)
    return warmup(fall, steps=warmup_steps) if warmup_steps else fall


@typed
def warmup_inverse_sqrt(*, peak: Number, warmup_steps: int) -> Schedule:
    """`peak · min(step / w, √(w / step))`: a line from 0 to `peak` over w = `warmup_steps`, then the inverse root.

    Vaswani et al. 2017, arXiv:1706.03762, equation 3, whose peak is 1 / √(d_model · w). The root counts from step 0;
    `warmup(inverse_sqrt(peak=peak), steps=w)` counts from the end of the warm-up, and so falls at once. Raises
    `ValueError` where `warmup_steps` is not positive, and where `peak` is negative or not finite.

    >>> warmup_inverse_sqrt(peak=1.0, warmup_steps=4)(jnp.array([2, 4, 16]))
    Array([0.5, 1. , 0.5], dtype=float32)
    """
    within("(0, inf]", warmup_steps=warmup_steps)
    within("[0, inf)", peak=peak)

    @typed
    def schedule(step: Step) -> Float[Array, "*steps"]:
        after = jnp.maximum(elapsed(step), float(warmup_steps))
        return peak * progress(step, steps=warmup_steps) * jnp.sqrt(warmup_steps / after)

    return schedule
