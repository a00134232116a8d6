"""Schedules that fall, or stay, from their first step to their last."""

from collections.abc import Sequence

import jax.numpy as jnp

from fjdl.checks import within
from fjdl.schedules.base import (
    Number,
    Schedule,
    Step,
    counted,
    elapsed,
    interpolated,
    passed,
    progress,
    require_boundaries,
)
from fjdl.typing import Array, Float, typed


@typed
def constant(value: Number) -> Schedule:
    """`value` at every step; equal to `optax.constant_schedule`.

    Raises `ValueError` where it is negative or not finite.

    >>> constant(0.1)(7)
    Array(0.1, dtype=float32)
    """
    within("[0, inf)", value=value)

    @typed
    def schedule(step: Step) -> Float[Array, "*steps"]:
        return jnp.full(jnp.shape(step), value, jnp.float32)

    return schedule


@typed
def step_decay(*, peak: Number, every: int, factor: Number) -> Schedule:
    """`peak · factor^⌊step / every⌋`: times `factor` at each multiple of `every`, that step included.

    Equal to `torch.optim.lr_scheduler.StepLR(step_size=every, gamma=factor)`. Raises `ValueError` where `peak` is
    negative or not finite, `every` is not positive, or `factor` is not in (0, 1].

    >>> step_decay(peak=1.0, every=10, factor=0.5)(jnp.array([9, 10, 20]))
    Array([1.  , 0.5 , 0.25], dtype=float32)
    """
    within("[0, inf)", peak=peak)
    within("(0, inf]", every=every)
    within("(0, 1]", factor=factor)

    @typed
    def schedule(step: Step) -> Float[Array, "*steps"]:
        return peak * jnp.power(jnp.float32(factor), elapsed(counted(step) // every))

    return schedule


@typed
def piecewise_constant(*, values: Sequence[Number], boundaries: Sequence[int]) -> Schedule:
    """`values[0]` before the first boundary, and `values[i]` from step `boundaries[i − 1]`, itself included.

    Equal to `torch.optim.lr_scheduler.MultiStepLR` and `optax.piecewise_constant_schedule`, which are given factors
    instead; Keras's `PiecewiseConstantDecay` changes one step later. Raises `ValueError` for a value that is negative
    or not finite, and unless the boundaries are positive, rising and one fewer than the values.

    >>> piecewise_constant(values=(1.0, 0.1), boundaries=(10,))(jnp.array([9, 10]))
    Array([1. , 0.1], dtype=float32)
    """
    within("[0, inf)", **{f"values[{i}]": value for i, value in enumerate(values)})
    require_boundaries(boundaries, parts=len(values))

    @typed
    def schedule(step: Step) -> Float[Array, "*steps"]:
        return jnp.asarray(values, jnp.float32)[passed(step, boundaries=boundaries)]

    return schedule


@typed
def linear(*, peak: Number, steps: int, final: Number = 0.0) -> Schedule:
    """A straight line from `peak` at step 0 to `final` at step `steps`, and `final` ever after.

    Equal to `optax.linear_schedule(peak, final, steps)`. Raises `ValueError` where `steps` is not positive, and where
    `peak` or `final` is negative or not finite.

    >>> linear(peak=1.0, steps=10)(jnp.array([0, 5, 10]))
    Array([1. , 0.5, 0. ], dtype=float32)
    """
    within("(0, inf]", steps=steps)
    within("[0, inf)", peak=peak, final=final)

    @typed
    def schedule(step: Step) -> Float[Array, "*steps"]:
        return interpolated(peak, final, progress(step, steps=steps))

    return schedule


@typed
def polynomial(*, peak: Number, steps: int, power: Number, final: Number = 0.0) -> Schedule:
    """final + (peak − final) (1 − step / steps)^power, and `final` from step `steps` on.

    Liu et al. 2015, arXiv:1506.04579 (power 0.9, the "poly" policy of segmentation); equal to
    `optax.polynomial_schedule` and, for final 0, `torch.optim.lr_scheduler.PolynomialLR`. Raises `ValueError` as
    `linear` does, and where `power` is not positive.

    >>> polynomial(peak=1.0, steps=10, power=2.0)(jnp.array([0, 5, 10]))
    Array([1.  , 0.25, 0.  ], dtype=float32)
    """
    within("(0, inf]", steps=steps)
    within("[0, inf)", peak=peak, final=final)
    within("(0, inf]", power=power)

    @typed
    def schedule(step: Step) -> Float[Array, "*steps"]:
        left = jnp.maximum(steps - counted(step), 0).astype(jnp.float32) / steps
        return interpolated(final, peak, jnp.power(jnp.minimum(left, 1.0), power))

    return schedule


@typed
def cosine(*, peak: Number, steps: int, final: Number = 0.0) -> Schedule:
    """Half a cosine from `peak` at step 0 to `final` at step `steps`, and `final` ever after.

    final + (peak − final) ½ (1 + cos(π step / steps)): Loshchilov & Hutter 2017, arXiv:1608.03983, without restarts;
    equal to `optax.cosine_decay_schedule(peak, steps, alpha=final / peak)`. `torch.optim.lr_scheduler.
    CosineAnnealingLR` is equal up to step `steps` and rises again after it. Raises `ValueError` as `linear` does.

    >>> cosine(peak=1.0, steps=10)(jnp.array([0, 10, 20]))
    Array([1., 0., 0.], dtype=float32)
    """
    within("(0, inf]", steps=steps)
    within("[0, inf)", peak=peak, final=final)

    @typed
    def schedule(step: Step) -> Float[Array, "*steps"]:
        return interpolated(final, peak, 0.5 * (1 + jnp.cos(jnp.pi * progress(step, steps=steps))))

    return schedule


@typed
def exponential(*, peak: Number, rate: Number) -> Schedule:
    """Decay by the factor e^-rate in every step: `peak · exp(-rate · step)`.

    Equal to `optax.exponential_decay(peak, 1, exp(-rate))` and `torch.optim.lr_scheduler.ExponentialLR(gamma=
    exp(-rate))`. Raises `ValueError` where `peak` or `rate` is negative or not finite.

    >>> exponential(peak=1.0, rate=0.1)(jnp.array([0, 10]))
    Array([1.        , 0.3678...], dtype=float32)
    """
    within("[0, inf)", peak=peak, rate=rate)

    @typed
    def schedule(step: Step) -> Float[Array, "*steps"]:
        return peak * jnp.exp(-rate * elapsed(step))

    return schedule


@typed
def geometric(
    *, start: Number, factor: Number, every: int, begin: int = 0, stepwise: bool = False, final: Number | None = None
) -> Schedule:
    """`start · factor^((step − begin) / every)`, which falls for a factor below 1 and grows for one above it.

    It is `start` up to step `begin`. `final` is the floor of one that falls and the ceiling of one that grows; where it
    is None, that of a growing one is the largest float32. `stepwise` rounds the exponent down, so that the rate changes
    at every multiple of `every` alone. Equal to `optax.exponential_decay(start, every, factor, begin, stepwise,
    final)`. Raises `ValueError` where `start` or `final` is negative or not finite, `factor` or `every` is not
    positive, or `begin` is negative.

    >>> geometric(start=1.0, factor=0.5, every=10)(jnp.array([0, 10, 20]))
    Array([1.  , 0.5 , 0.25], dtype=float32)
    """
    within("[0, inf)", start=start, final=final, begin=begin)
    within("(0, inf)", factor=factor, every=every)

    @typed
    def schedule(step: Step) -> Float[Array, "*steps"]:
        time = jnp.maximum(counted(step) - begin, 0)
        exponent = elapsed(time // every) if stepwise else elapsed(time) / every
        base = jnp.float32(factor)
        bound = jnp.where(base < 1, 0, jnp.finfo(jnp.float32).max) if final is None else jnp.float32(final)
        value = start * jnp.minimum(jnp.power(base, exponent), jnp.finfo(jnp.float32).max)
        return jnp.where(base < 1, jnp.maximum(value, bound), jnp.minimum(value, bound))

    return schedule


@typed
def inverse_time(*, peak: Number, rate: Number) -> Schedule:
    """`peak / (1 + rate · step)` (Robbins & Monro 1951); equal to Keras's `InverseTimeDecay(peak, 1, rate)`.

    Raises `ValueError` where `peak` or `rate` is negative or not finite.

    >>> inverse_time(peak=1.0, rate=0.1)(jnp.array([0, 10]))
    Array([1. , 0.5], dtype=float32)
    """
    within("[0, inf)", peak=peak, rate=rate)

    @typed
    def schedule(step: Step) -> Float[Array, "*steps"]:
        return peak / (1 + rate * elapsed(step))

    return schedule


@typed
def inverse_sqrt(*, peak: Number) -> Schedule:
    """`peak / √step`, and `peak` at step 0, where the formula has no value.

    `warmup_inverse_sqrt` is the schedule of Vaswani et al. 2017. Raises `ValueError` where `peak` is negative or not
    finite.
    """
    within("[0, inf)", peak=peak)

    @typed
    def schedule(step: Step) -> Float[Array, "*steps"]:
        return peak / jnp.sqrt(jnp.maximum(counted(step), 1).astype(jnp.float32))

    return schedule
