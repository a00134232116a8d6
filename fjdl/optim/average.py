"""Averages of the parameters over training, for evaluation."""

import jax
import jax.numpy as jnp

from fjdl.numerics import accumulate
from fjdl.optim.base import Number, moving_average
from fjdl.typing import PyTree, typed


@typed
def ema_init(params: PyTree) -> PyTree:
    """A copy of `params` in float32 (float64 stays): the average before the first update.

    The copy shares no memory with `params`, so that both may be donated to one jitted step.
    """
    return jax.tree.map(lambda p: jnp.array(accumulate(p), copy=True), params)


@typed
def ema_update(average: PyTree, params: PyTree, *, decay: Number) -> PyTree:
    """decay · average + (1 − decay) · params, leaf by leaf in the average's dtype.

    It starts at the parameters and not at zero, so it needs no bias correction; the window is about 1 / (1 − decay)
    steps. Polyak & Juditsky 1992; equal to `torch.optim.swa_utils.get_ema_avg_fn(decay)`. `decay` may be a traced
    scalar that warms up. Raises `ValueError` where it is not in [0, 1].
    """
    if isinstance(decay, int | float) and not 0 <= decay <= 1:
        raise ValueError(f"decay must lie in [0, 1], got {decay}")
    return jax.tree.map(lambda a, p: moving_average(a, p.astype(a.dtype), decay), average, params)
