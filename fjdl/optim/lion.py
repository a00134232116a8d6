"""Lion: each weight moves by the learning rate, in the direction of the sign of a momentum."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from fjdl.checks import within
from fjdl.optim.base import (
    LearningRate,
    Number,
    averaged,
    chain,
    scale_by_learning_rate,
    stored,
    transformation,
    zeros,
)
from fjdl.optim.decay import EVERYWHERE, DecayRules, add_decayed_weights
from fjdl.typing import PyTree, typed


class LionState(NamedTuple):
    """What Lion remembers: half of what Adam does."""

    mean: PyTree  # m of the paper: the parameters' shapes, float32 (float64 for float64 parameters) or `mean_dtype`


@typed
def scale_by_lion(
    *, b1: Number = 0.9, b2: Number = 0.99, mean_dtype: DTypeLike | None = None
) -> optax.GradientTransformationExtraArgs:
    """sign(b1 m + (1 − b1) g), which is −1, 0 or 1; afterwards m ← b2 m + (1 − b2) g.

    Chen et al. 2023, arXiv:2302.06675, program 1. The gradient's scale does not matter; 0 stays 0 while m and g are 0.
    An entry whose gradient stops goes on at full speed until m underflows, so a dead weight needs its decay.
    `mean_dtype=jnp.bfloat16` keeps m in half the memory, rounded after each step. Equal to `optax.scale_by_lion`, but m
    of bfloat16 parameters is float32; PyTorch has none. Raises `ValueError` for b1 or b2 outside [0, 1).
    """
    within("[0, 1)", b1=b1)
    within("[0, 1)", b2=b2)

    def update(updates: PyTree, state: LionState, params: PyTree) -> tuple[PyTree, LionState]:
        del params
        direction = jax.tree.map(jnp.sign, averaged(state.mean, updates, b1))
        return direction, LionState(stored(averaged(state.mean, updates, b2), dtype=mean_dtype))

    return transformation(lambda params: LionState(zeros(params, dtype=mean_dtype)), update)


@typed
def lion(
    learning_rate: LearningRate,
    *,
    b1: Number = 0.9,
    b2: Number = 0.99,
    weight_decay: Number = 0.0,
    decay_rules: DecayRules = EVERYWHERE,
    mean_dtype: DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Lion with decoupled weight decay: w ← w − learning_rate · (sign(b1 m + (1 − b1) g) + weight_decay · w).

    See `scale_by_lion` and, for `decay_rules`, `add_decayed_weights`. The paper takes a learning rate 3 to 10 times
    smaller than Adam's and a weight decay as many times larger. Equal to `optax.lion`, whose default decay is 1e-3.
    """
    return chain(
        scale_by_lion(b1=b1, b2=b2, mean_dtype=mean_dtype),
        add_decayed_weights(weight_decay, rules=decay_rules),
        scale_by_learning_rate(learning_rate),
    )
