"""Steps in proportion to the norm of each layer's weights, and LARS, which makes them with momentum."""

import jax
import jax.numpy as jnp
import optax
from jax.typing import DTypeLike

from fjdl import tree
from fjdl.checks import within
from fjdl.optim.base import (
    LearningRate,
    Number,
    chain,
    like,
    require_params,
    scale_by_learning_rate,
    stateless,
)
from fjdl.optim.decay import EVERYWHERE, DecayRules, add_decayed_weights
from fjdl.optim.sgd import scale_by_momentum, scale_by_nesterov
from fjdl.typing import Array, PyTree, typed


@typed
def scale_by_trust_ratio(
    *, trust_coefficient: Number = 1.0, eps: Number = 0.0, rules: DecayRules = EVERYWHERE
) -> optax.GradientTransformationExtraArgs:
    """Each leaf's update u times its trust ratio trust_coefficient · ‖w‖ / (‖u‖ + eps).

    The norms are Euclidean, over the whole leaf. The ratio is 1 where w or u is all zero, so that a layer that starts
    at 0 can leave it. `rules` are pairs of a regular expression and a number as in `add_decayed_weights`: 0 leaves the
    update as it is, any other number multiplies the ratio; `KERNELS` spares biases and norms. Norms of entries such as
    1e30 or 1e-30 are right; an update of infinite norm becomes NaN. You et al. 2017, arXiv:1708.03888. Equal to
    `optax.scale_by_trust_ratio`, with rules for its mask. Raises `ValueError` where `trust_coefficient` is not
    positive, for a negative `eps`, for parameters that no rule matches, and where `update` is not given the parameters.
    """
    within("(0, inf]", trust_coefficient=trust_coefficient)
    within("[0, inf]", eps=eps)

    def trusted(u: Array, w: Array, coefficient: float) -> Array:
        if coefficient == 0:
            return u
        weight, step = tree.global_norm(w), tree.global_norm(u)
        zero = (weight == 0) | (step == 0)
        divisor = jnp.where(jnp.isfinite(step), step + like(eps, step), jnp.nan)
        target = like(trust_coefficient * coefficient, weight) * weight
        return u / jnp.where(zero, 1, divisor) * jnp.where(zero, 1, target)

    def update(updates: PyTree, params: PyTree) -> PyTree:
        require_params("a trust ratio", params)
        return jax.tree.map(trusted, updates, params, tree.select(params, rules))

    return stateless(update)


@typed
def lars(
    learning_rate: LearningRate,
    *,
    momentum: Number = 0.9,
    nesterov: bool = False,
    weight_decay: Number = 0.0,
    decay_rules: DecayRules = EVERYWHERE,
    trust_coefficient: Number = 1e-3,
    eps: Number = 0.0,
    trust_rules: DecayRules = EVERYWHERE,
    velocity_dtype: DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """LARS: u = g + weight_decay · w, v ← momentum · v − learning_rate · trust ratio · u, w ← w + v.

    The trust ratio of each leaf is trust_coefficient · ‖w‖ / ‖u‖, see `scale_by_trust_ratio`: You et al. 2017,
    arXiv:1708.03888, algorithm 1, with the learning rate inside of v as in `heavy_ball`. The paper divides by ‖g‖ +
    weight_decay · ‖w‖, which is at least ‖u‖. The usual rules, not the defaults here, are `KERNELS` for both: biases
    and norms have neither decay nor trust ratio. `nesterov` and `velocity_dtype` as in `scale_by_nesterov`. Equal to
    `optax.lars`; PyTorch has none.
    """
    accelerate = scale_by_nesterov if nesterov else scale_by_momentum
    return chain(
        add_decayed_weights(weight_decay, rules=decay_rules),
        scale_by_trust_ratio(trust_coefficient=trust_coefficient, eps=eps, rules=trust_rules),
        scale_by_learning_rate(learning_rate),
        accelerate(momentum, velocity_dtype=velocity_dtype),
    )
