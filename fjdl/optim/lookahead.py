"""Lookahead: slow weights that follow a fast optimizer."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from fjdl.checks import within
from fjdl.numerics import widened
from fjdl.optim.average import ema_init
from fjdl.optim.base import Count, Number, at_least_static, like, require_params, with_extra
from fjdl.typing import Array, PyTree, typed


class LookaheadState(NamedTuple):
    """What lookahead remembers."""

    step: Array  # shape (), int32: updates since the last synchronization, below `every`
    inner: Any  # state of the fast optimizer
    slow: PyTree  # φ of the paper: the parameters' shapes, float32 (float64 for float64 parameters)


@typed
def lookahead(
    transformation: optax.GradientTransformation, *, every: Count = 5, rate: Number = 0.5
) -> optax.GradientTransformationExtraArgs:
    """After every `every` updates of `transformation`, φ ← φ + rate · (w − φ) and w ← φ.

    The parameters w are the fast weights; the slow weights φ start as their copy and live in the state, so there is one
    tree of parameters to save. Evaluate with `state.slow`, which is w itself after a multiple of `every` updates. The
    fast optimizer keeps its state across a synchronization. It must end with the learning rate and come last in a
    chain. Zhang et al. 2019, arXiv:1907.08610; equal to the fast part of `optax.lookahead`. Raises `ValueError` for
    `every` below 1, for `rate` outside (0, 1], and where `update` is not given the parameters.
    """
    at_least_static(1, every=every)
    within("(0, 1]", rate=rate)
    inner = optax.with_extra_args_support(transformation)

    def init(params: PyTree) -> LookaheadState:
        state = inner.init(jax.tree.map(widened, params))
        return LookaheadState(jnp.zeros((), jnp.int32), state, ema_init(params))

    def update(updates: PyTree, state: LookaheadState, params: PyTree, **extra: Any) -> tuple[PyTree, LookaheadState]:
        require_params("lookahead", params)
        updates, inner_state = inner.update(updates, state.inner, params, **extra)
        step = (state.step + 1) % every
        sync = step == 0

        def follow(slow: Array, w: Array, u: Array) -> Array:
            return jnp.where(sync, slow + like(rate, slow) * (w + u - slow), slow)

        slow = jax.tree.map(follow, state.slow, params, updates)
        updates = jax.tree.map(lambda u, s, w: jnp.where(sync, s - w, u), updates, slow, params)
        return updates, LookaheadState(step, inner_state, slow)

    return with_extra(init, update)
