"""Learning-rate schedules: each factory returns a pure function from the step to a float32 scalar.

A schedule is defined at step 0, holds its last value after its last step, up to step 2**31 - 1, and may be called
inside `jax.jit` with a traced step. Any optax schedule fits wherever one of these does, and the other way round.
"""

import math
from collections.abc import Callable

import jax.numpy as jnp

from fjdl.typing import Array, Float, Int, Scalar, typed

__all__ = [
    "Schedule", "Step", "constant", "cosine", "exponential", "inverse_sqrt", "inverse_time", "linear", "warmup",
    "warmup_cosine",
]  # fmt: skip

Step = Int[Array, ""] | int
Schedule = Callable[[Step], Scalar]


@typed
def constant(value: float) -> Schedule:
    """`value` at every step; equal to `optax.constant_schedule`.

    Raises `ValueError` where it is negative or not finite.
    """
    _require_rate("value", value)

    @typed
    def schedule(step: Step) -> Float[Array, ""]:
        del step
        return jnp.float32(value)

    return schedule


@typed
def cosine(*, peak: float, steps: int, final: float = 0.0) -> Schedule:
    """Half a cosine from `peak` at step 0 to `final` at step `steps`, and `final` ever after.

    final + (peak − final) ½ (1 + cos(π step / steps)): Loshchilov & Hutter 2017, arXiv:1608.03983, without restarts;
    equal to `optax.cosine_decay_schedule(peak, steps, alpha=final / peak)`. Raises `ValueError` where `steps` is not
    positive, and where `peak` or `final` is negative or not finite.
    """
    _require_positive("steps", steps)
    _require_rate("peak", peak)
    _require_rate("final", final)

    @typed
    def schedule(step: Step) -> Float[Array, ""]:
        return final + (peak - final) * 0.5 * (1 + jnp.cos(jnp.pi * _progress(step, steps)))

    return schedule


@typed
def linear(*, peak: float, steps: int, final: float = 0.0) -> Schedule:
    """A straight line from `peak` at step 0 to `final` at step `steps`, and `final` ever after.

    Equal to `optax.linear_schedule(peak, final, steps)`. Raises `ValueError` as `cosine` does.
    """
    _require_positive("steps", steps)
    _require_rate("peak", peak)
    _require_rate("final", final)

    @typed
    def schedule(step: Step) -> Float[Array, ""]:
        return peak + (final - peak) * _progress(step, steps)

    return schedule


@typed
def exponential(*, peak: float, rate: float) -> Schedule:
    """Decay by the factor e^-rate in every step: `peak · exp(-rate · step)`.

    Equal to `optax.exponential_decay(peak, 1, exp(-rate))`. Raises `ValueError` where `peak` or `rate` is negative or
    not finite.
    """
    _require_rate("peak", peak)
    _require_rate("rate", rate)

    @typed
    def schedule(step: Step) -> Float[Array, ""]:
        return peak * jnp.exp(-rate * jnp.asarray(step).astype(jnp.float32))

    return schedule


@typed
def inverse_time(*, peak: float, rate: float) -> Schedule:
    """`peak / (1 + rate · step)` (Robbins & Monro 1951); equal to Keras's `InverseTimeDecay(peak, 1, rate)`.

    Raises `ValueError` where `peak` or `rate` is negative or not finite.
    """
    _require_rate("peak", peak)
    _require_rate("rate", rate)

    @typed
    def schedule(step: Step) -> Float[Array, ""]:
        return peak / (1 + rate * jnp.asarray(step).astype(jnp.float32))

    return schedule


@typed
def inverse_sqrt(*, peak: float) -> Schedule:
    """`peak / √step`, and `peak` at step 0, where the formula has no value.

    With a warm-up it is the schedule of Vaswani et al. 2017, arXiv:1706.03762. Raises `ValueError` where `peak` is
    negative or not finite.
    """
    _require_rate("peak", peak)

    @typed
    def schedule(step: Step) -> Float[Array, ""]:
        return peak / jnp.sqrt(jnp.maximum(jnp.asarray(step), 1).astype(jnp.float32))

    return schedule


@typed
def warmup(schedule: Schedule, *, steps: int, start: float = 0.0) -> Schedule:
    """A straight line from `start` to `schedule(0)` over `steps` steps, then `schedule` counted from there.

    Equal to `optax.join_schedules` of a linear schedule and `schedule`. With `start=0` the very first update is exactly
    zero. Raises `ValueError` where `steps` is not positive.
    """
    _require_positive("steps", steps)

    @typed
    def joined(step: Step) -> Float[Array, ""]:
        step = jnp.asarray(step)
        ramp = start + (schedule(jnp.zeros_like(step)) - start) * _progress(step, steps)
        after = schedule(jnp.maximum(step - steps, 0))
        return jnp.where(step < steps, ramp, after).astype(jnp.float32)

    return joined


@typed
def warmup_cosine(*, peak: float, warmup_steps: int, steps: int, final: float = 0.0) -> Schedule:
    """A line from 0 to `peak` over `warmup_steps`, then half a cosine that reaches `final` at step `steps` in all.

    Goyal et al. 2017, arXiv:1706.02677, for the warm-up; equal to `optax.warmup_cosine_decay_schedule(0, peak,
    warmup_steps, steps, final)`. Raises `ValueError` where the warm-up is as long as the whole.
    """
    _require_positive("warmup_steps", warmup_steps)
    if warmup_steps >= steps:
        raise ValueError(f"warmup_steps must be smaller than steps, got warmup_steps={warmup_steps} and steps={steps}")
    return warmup(cosine(peak=peak, steps=steps - warmup_steps, final=final), steps=warmup_steps)


def _progress(step: Step, steps: int) -> Scalar:
    """The part of `steps` that lies behind `step`, in [0, 1]."""
    return jnp.clip(jnp.asarray(step).astype(jnp.float32) / steps, 0.0, 1.0)


def _require_rate(name: str, rate: float) -> None:
    if not 0 <= rate < math.inf:
        raise ValueError(f"{name} must be finite and not negative, got {rate}")


def _require_positive(name: str, steps: int) -> None:
    if steps <= 0:
        raise ValueError(f"{name} must be positive, got {steps}")
