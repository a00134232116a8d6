"""Schedules that rise and fall: restarts, triangles, and the one cycle."""

from itertools import pairwise

import jax.numpy as jnp

from fjdl.checks import within
from fjdl.schedules.base import (
    LAST_STEP,
    Number,
    Schedule,
    Step,
    counted,
    elapsed,
    half_wave,
    interpolated,
    passed,
    progress,
)
from fjdl.typing import Array, Float, typed


@typed
def cosine_restarts(*, peak: Number, steps: int, multiplier: int = 1, final: Number = 0.0) -> Schedule:
    """Half a cosine from `peak` towards `final` that starts again after `steps`, each time `multiplier` as long.

    final + (peak − final) ½ (1 + cos(π t / T)) at step t of a period of T = steps · multiplierᵏ steps: SGDR, Loshchilov
    & Hutter 2017, arXiv:1608.03983, equation 5. A restart is at `peak`, so `final` is neared and never reached, and
    there is no last step. Equal to `torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(T_0=steps, T_mult=multiplier,
    eta_min=final)`; the periods are counted in integers, so no restart is a step off. Raises `ValueError` where `steps`
    or `multiplier` is not positive, and where `peak` or `final` is negative or not finite.

    >>> cosine_restarts(peak=1.0, steps=4)(jnp.array([0, 4, 8]))
    Array([1., 1., 1.], dtype=float32)
    """
    within("(0, inf]", steps=steps, multiplier=multiplier)
    within("[0, inf)", peak=peak, final=final)
    starts = [0, steps]
    while multiplier > 1 and starts[-1] <= LAST_STEP:
        starts.append(steps + multiplier * starts[-1])
    lengths = [float(b - a) for a, b in pairwise(starts)]

    @typed
    def schedule(step: Step) -> Float[Array, "*steps"]:
        step = counted(step) % steps if multiplier == 1 else counted(step)
        period = passed(step, boundaries=starts[1:-1])
        done = elapsed(step - jnp.asarray(starts[:-1], step.dtype)[period])
        return interpolated(final, peak, half_wave(1 - done / jnp.asarray(lengths, jnp.float32)[period]))

    return schedule


@typed
def cyclic(
    *,
    low: Number,
    high: Number,
    rise: int,
    fall: int | None = None,
    cycle_factor: Number = 1.0,
    step_factor: Number = 1.0,
) -> Schedule:
    """Triangles: a line from `low` up to `high` in `rise` steps and down again in `fall`, by default as many, for ever.

    low + (high − low) · height · cycle_factorᵏ · step_factorᵗ in cycle k at step t, with a height from 0 to 1: Smith
    2017, arXiv:1506.01186. Equal to `torch.optim.lr_scheduler.CyclicLR` with mode "triangular" by default,
    "triangular2" for cycle_factor=0.5, and "exp_range" with gamma=step_factor. Raises `ValueError` where a number of
    steps is not positive, a rate is negative or not finite, or a factor is not in (0, 1].

    >>> cyclic(low=0.0, high=1.0, rise=2)(jnp.array([0, 1, 2, 3, 4]))
    Array([0. , 0.5, 1. , 0.5, 0. ], dtype=float32)
    """
    fall = rise if fall is None else fall
    within("(0, inf]", rise=rise, fall=fall)
    within("[0, inf)", low=low, high=high)
    within("(0, 1]", cycle_factor=cycle_factor, step_factor=step_factor)
    period = rise + fall

    @typed
    def schedule(step: Step) -> Float[Array, "*steps"]:
        step = counted(step)
        position = step % period
        height = jnp.where(position < rise, elapsed(position) / rise, elapsed(period - position) / fall)
        shrunk = jnp.power(jnp.float32(cycle_factor), elapsed(step // period))
        return interpolated(low, high, height * shrunk * jnp.power(jnp.float32(step_factor), elapsed(step)))

    return schedule


@typed
def one_cycle(
    *, peak: Number, steps: int, rising: float = 0.3, first_divisor: float = 25.0, last_divisor: float = 1e4
) -> Schedule:
    """Half a cosine up from `peak / first_divisor` to `peak`, and one down to the first rate / `last_divisor`.

    Smith & Topin 2018, arXiv:1708.07120, with the cosines of `torch.optim.lr_scheduler.OneCycleLR(max_lr=peak,
    total_steps=steps, pct_start=rising, anneal_strategy="cos")`, to which it is equal: the peak is at
    rising · steps − 1, and the last of `steps` updates, at step `steps − 1`, has exactly the final rate, which is held.
    `one_cycle_momentum` is its twin for the momentum. Raises `ValueError` where `peak` is negative or not finite,
    unless 1 / steps < rising < 1, and where a divisor is not positive.
    """
    within("[0, inf)", peak=peak)
    if not (first_divisor > 0 and last_divisor > 0):
        raise ValueError(f"divisors must be positive, got {first_divisor} and {last_divisor}")
    first = peak / first_divisor
    return _three_points((first, peak, first / last_divisor), steps=steps, rising=rising)


@typed
def one_cycle_momentum(*, low: Number = 0.85, high: Number = 0.95, steps: int, rising: float = 0.3) -> Schedule:
    """The momentum that falls from `high` to `low` while `one_cycle` rises, and rises again while that falls.

    Smith & Topin 2018, arXiv:1708.07120; equal to the momentum of `torch.optim.lr_scheduler.OneCycleLR`. For an
    optimizer, `optax.inject_hyperparams(momentum)(learning_rate=one_cycle(…), momentum=one_cycle_momentum(…))`. Raises
    `ValueError` where `low` or `high` is negative or not finite, and unless 1 / steps < rising < 1.
    """
    within("[0, inf)", low=low, high=high)
    return _three_points((high, low, high), steps=steps, rising=rising)


def _three_points(values: tuple[Number, Number, Number], *, steps: int, rising: float) -> Schedule:
    """Half cosines from the first value at step 0 to the second, and on to the third at step `steps` − 1."""
    within("(0, inf]", steps=steps)
    if not 1 / steps < rising < 1:
        raise ValueError(f"rising must lie between 1 / steps and 1, got rising={rising} and steps={steps}")
    start, middle, end = values
    turn = rising * steps - 1

    @typed
    def schedule(step: Step) -> Float[Array, "*steps"]:
        to_middle = interpolated(start, middle, half_wave(progress(step, steps=turn)))
        left = progress(jnp.maximum(steps - 1 - counted(step), 0), steps=steps - 1 - turn)
        return jnp.where(elapsed(step) <= turn, to_middle, interpolated(end, middle, half_wave(left)))

    return schedule
