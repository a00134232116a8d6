"""Scales of a loss whose gradients are computed in float16, which holds no number below 6e-8 and none above 65504."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fjdl.checks import at_least, within
from fjdl.numerics import widened
from fjdl.optim.base import increment, like
from fjdl.typing import Array, Bool, PyTree, typed


class LossScaleState(NamedTuple):
    """The scale, and how long it has stood."""

    scale: Array  # shape (), float32
    good_steps: Array  # shape (), int32: finite steps since the scale last changed


class LossScale(NamedTuple):
    """Four pure functions; the state goes with the optimizer's."""

    init: Callable[[], Any]  # the state before the first step
    scale: Callable[[Any, Array], Array]  # (state, loss) to the loss whose gradient is taken
    unscale: Callable[[Any, PyTree], PyTree]  # (state, gradients of the scaled loss) to those of the loss, in float32
    update: Callable[[Any, Array], Any]  # (state, whether the gradients are finite) to the state after the step


@typed
def dynamic_loss_scale(
    *,
    initial: float = 2.0**15,
    growth: float = 2.0,
    backoff: float = 0.5,
    interval: int = 2000,
    minimum: float = 1.0,
    maximum: float = 2.0**24,
) -> LossScale:
    """A scale that falls where gradients are not finite, and rises after `interval` finite steps.

    A step whose gradients are not finite must be left out, as `fjdl.train` does; the scale is then multiplied by
    `backoff`, down to `minimum`. After `interval` steps in a row that were finite it is multiplied by `growth`, up to
    `maximum`. Powers of two change no digit of a gradient that is in float16's range. Micikevicius et al. 2018,
    arXiv:1710.03740; equal to `torch.amp.GradScaler` but for the bounds and the first scale, which is 2¹⁶ there.

    Raises `ValueError` unless `0 < minimum <= initial <= maximum`, `growth > 1`, `backoff` lies in (0, 1) and
    `interval >= 1`.

    >>> scaling = dynamic_loss_scale(initial=1024.0)
    >>> state = scaling.init()
    >>> float(scaling.scale(state, jnp.float32(0.5)))
    512.0
    >>> float(scaling.update(state, jnp.bool_(False)).scale)
    512.0
    """
    within("(0, inf)", minimum=minimum)
    within("(1, inf)", growth=growth)
    within("(0, 1)", backoff=backoff)
    at_least(1, interval=interval)
    if not minimum <= initial <= maximum:
        raise ValueError(f"initial must lie in [minimum, maximum] = [{minimum}, {maximum}], got {initial}")

    def update(state: LossScaleState, finite: Bool[Array, ""]) -> LossScaleState:
        good = jnp.where(finite, increment(state.good_steps), 0)
        due = good >= interval
        risen = jnp.where(due, jnp.minimum(state.scale * growth, maximum), state.scale)
        fallen = jnp.maximum(state.scale * backoff, minimum)
        return LossScaleState(jnp.where(finite, risen, fallen), jnp.where(due, 0, good))

    return LossScale(
        init=lambda: LossScaleState(jnp.asarray(initial, jnp.float32), jnp.zeros((), jnp.int32)),
        scale=lambda state, loss: loss * like(state.scale, loss),
        unscale=lambda state, gradients: jax.tree.map(lambda g: _divided(widened(g), state.scale), gradients),
        update=update,
    )


def _divided(gradient: Array, scale: Array) -> Array:
    return gradient / like(scale, gradient)


@typed
def no_loss_scale() -> LossScale:
    """The loss as it is, with a state of no arrays: what float32 and bfloat16 need, whose exponents are as wide."""
    return LossScale(
        init=lambda: (),
        scale=lambda state, loss: loss,
        unscale=lambda state, gradients: gradients,
        update=lambda state, finite: state,
    )
