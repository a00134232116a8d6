"""Optimizers as pure pairs `init(params)` and `update(gradients, state, params)`, composable with everything of optax.

`scale_by_*`, `add_*` and `clip_by_*` are the mathematics; `sgd`, `adam` and the like chain one with the learning rate.
State and arithmetic are float32 whatever the gradient's dtype (float64 for float64); an update has the dtype of its
gradient. Keep the parameters themselves in float32: in bfloat16 the sum w + update drops every update below w / 512,
and no optimizer state can bring it back. For the same reason give `optax.inject_hyperparams` a float32
`hyperparam_dtype`.
"""

from fjdl.optim.adam import AdamState, adam, adamw, scale_by_adam
from fjdl.optim.average import ema_init, ema_update
from fjdl.optim.base import LearningRateState, scale_by_learning_rate
from fjdl.optim.clip import clip_by_global_norm
from fjdl.optim.decay import EVERYWHERE, KERNELS, add_decayed_weights
from fjdl.optim.sgd import (
    MomentumState,
    heavy_ball,
    look_ahead,
    momentum,
    nesterov,
    scale_by_momentum,
    scale_by_nesterov,
    sgd,
)

__all__ = [
    "EVERYWHERE",
    "KERNELS",
    "AdamState",
    "LearningRateState",
    "MomentumState",
    "adam",
    "adamw",
    "add_decayed_weights",
    "clip_by_global_norm",
    "ema_init",
    "ema_update",
    "heavy_ball",
    "look_ahead",
    "momentum",
    "nesterov",
    "scale_by_adam",
    "scale_by_learning_rate",
    "scale_by_momentum",
    "scale_by_nesterov",
    "sgd",
]
