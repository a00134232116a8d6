"""Weight decay, chosen by the parameters' paths: coupled, decoupled, and independent of the learning rate."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax

from fjdl import tree
from fjdl.checks import within
from fjdl.optim.base import (
    LearningRate,
    LearningRateState,
    Number,
    increment,
    like,
    require_params,
    stateless,
    transformation,
)
from fjdl.typing import PyTree, typed

DecayRules = Sequence[tuple[str, float]]

EVERYWHERE: DecayRules = ((r".*", 1.0),)
KERNELS: DecayRules = ((r"(.*/)?kernel", 1.0), (r".*", 0.0))


@typed
def add_decayed_weights(
    weight_decay: Number, *, rules: DecayRules = EVERYWHERE
) -> optax.GradientTransformationExtraArgs:
    """Updates plus weight_decay · coefficient · w, the coefficient by w's path.

    It is that of the first of `rules`, pairs of a regular expression and a number, whose expression matches the whole
    path, such as `conv1/kernel`. After the gradient is rescaled this is decoupled decay (AdamW). Before it, it is
    coupled: the gradient of an L2 penalty, λ‖w‖² for weight_decay = 2λ, and equal to `weight_decay` of
    `torch.optim.Adam`, which adds weight_decay · w. Both are the same for plain gradient descent alone. Equal to
    `optax.add_decayed_weights`, with rules for its mask. Raises `ValueError` for a negative `weight_decay`, for
    parameters that no rule matches, and where `update` is not given the parameters.
    """
    within("[0, inf]", weight_decay=weight_decay)
    return stateless(lambda updates, params: _plus_weights(updates, params, weight_decay, rules))


@typed
def add_independent_decay(
    weight_decay: LearningRate, *, rules: DecayRules = EVERYWHERE
) -> optax.GradientTransformationExtraArgs:
    """Updates minus weight_decay · coefficient · w: decay that the learning rate does not multiply.

    It stands last in a chain, after `scale_by_learning_rate`: with gradient 0, w ← (1 − weight_decay) w whatever the
    learning rate. A schedule is called with the number of updates before this one. Loshchilov & Hutter 2019,
    arXiv:1711.05101, algorithm 2, with η_t λ for `weight_decay`; `torch.optim.AdamW` and `adamw` multiply by the
    learning rate instead. `rules` as in `add_decayed_weights`. Raises `ValueError` for a number outside [0, 1), for
    parameters that no rule matches, and where `update` is not given the parameters.
    """
    if not callable(weight_decay):
        within("[0, 1)", weight_decay=weight_decay)

    def init(params: PyTree) -> LearningRateState:
        del params
        return LearningRateState(jnp.zeros((), jnp.int32))

    def update(updates: PyTree, state: LearningRateState, params: PyTree) -> tuple[PyTree, LearningRateState]:
        decay = weight_decay(state.step) if callable(weight_decay) else weight_decay
        return _plus_weights(updates, params, -decay, rules), LearningRateState(increment(state.step))

    return transformation(init, update)


def _plus_weights(updates: PyTree, params: PyTree, factor: Number, rules: DecayRules) -> PyTree:
    require_params("weight decay", params)
    coefficients = tree.select(params, rules)
    return jax.tree.map(lambda u, w, c: u + like(factor * c, w) * w, updates, params, coefficients)
