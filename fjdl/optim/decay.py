"""Decoupled weight decay, chosen by the parameters' paths."""

from collections.abc import Sequence

import jax
import optax

from fjdl import tree
from fjdl.optim.base import Number, like, stateless
from fjdl.typing import PyTree, typed

DecayRules = Sequence[tuple[str, float]]

EVERYWHERE: DecayRules = ((r".*", 1.0),)
KERNELS: DecayRules = ((r"(.*/)?kernel", 1.0), (r".*", 0.0))


@typed
def add_decayed_weights(weight_decay: Number, *, rules: DecayRules = EVERYWHERE) -> optax.GradientTransformation:
    """Updates plus weight_decay · coefficient · w, the coefficient by w's path.

    It is that of the first of `rules`, pairs of a regular expression and a number, whose expression matches the whole
    path, such as `conv1/kernel`. After the gradient is rescaled this is decoupled decay (AdamW), before it an L2
    penalty. Equal to `optax.add_decayed_weights`, with rules for its mask. Raises `ValueError` for a negative
    `weight_decay`, for parameters that no rule matches, and where `update` is not given the parameters.
    """
    if isinstance(weight_decay, int | float) and not weight_decay >= 0:
        raise ValueError(f"weight_decay must not be negative, got {weight_decay}")

    def update(updates: PyTree, params: PyTree) -> PyTree:
        if params is None:
            raise ValueError("params must be given to weight decay as in update(updates, state, params), got None")
        coefficients = tree.select(params, rules)
        return jax.tree.map(lambda u, w, c: u + like(weight_decay * c, w) * w, updates, params, coefficients)

    return stateless(update)
