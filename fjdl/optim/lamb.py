"""LAMB: Adam with a trust ratio for each layer."""

import optax
from jax.typing import DTypeLike

from fjdl.optim.adam import scale_by_adam
from fjdl.optim.base import LearningRate, Number, chain, scale_by_learning_rate
from fjdl.optim.decay import EVERYWHERE, DecayRules, add_decayed_weights
from fjdl.optim.lars import scale_by_trust_ratio
from fjdl.typing import typed


@typed
def lamb(
    learning_rate: LearningRate,
    *,
    b1: Number = 0.9,
    b2: Number = 0.999,
    eps: Number = 1e-6,
    weight_decay: Number = 0.0,
    decay_rules: DecayRules = EVERYWHERE,
    trust_rules: DecayRules = EVERYWHERE,
    mean_dtype: DTypeLike | None = None,
) -> optax.GradientTransformationExtraArgs:
    """LAMB: w ← w − learning_rate · ‖w‖ / ‖u‖ · u for each leaf, where u = m̂ / (√v̂ + eps) + weight_decay · w.

    You et al. 2020, arXiv:1904.00962, algorithm 2 with φ(‖w‖) = ‖w‖; m̂ and v̂ of `scale_by_adam`, the ratio of
    `scale_by_trust_ratio`, which is 1 where w or u is all zero. Each step moves a leaf by the learning rate times its
    own norm. `KERNELS` as both rules spares biases and norms. Equal to `optax.lamb`; apex's `FusedLAMB` also clips the
    gradient first and rescales only what decays. PyTorch has none.
    """
    return chain(
        scale_by_adam(b1=b1, b2=b2, eps=eps, mean_dtype=mean_dtype),
        add_decayed_weights(weight_decay, rules=decay_rules),
        scale_by_trust_ratio(rules=trust_rules),
        scale_by_learning_rate(learning_rate),
    )
