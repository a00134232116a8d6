"""Optimizers as pure pairs `init(params)` and `update(gradients, state, params)`, composable with everything of optax.

`scale_by_*`, `add_*` and `clip_by_*` are the mathematics; `sgd`, `adam` and the like chain one with the learning rate.
State and arithmetic are float32 whatever the gradient's dtype (float64 for float64); an update has the dtype of its
gradient. Keep the parameters themselves in float32: in bfloat16 the sum w + update drops every update below w / 512,
and no optimizer state can bring it back. For the same reason give `optax.inject_hyperparams` a float32
`hyperparam_dtype`.

Complex parameters have complex means and real squares, |g|²; their gradient is the conjugate of that of `jax.grad`, as
PyTorch's is. PyTorch's adaptive methods square both parts of a complex number apart; optax's are equal to these.

One optimizer a file, and one file for each way of changing another: clipping, decay, averages, groups of parameters.
May import floor 0, `fjdl.lowering`, `fjdl.schedules` and `fjdl.autodiff`.

>>> import optax
>>> from fjdl import optim
>>> params = {"w": jnp.array([1.0, -2.0])}
>>> optimizer = optim.chain(optim.clip_by_global_norm(1.0), optim.sgd(0.5))
>>> updates, state = optimizer.update({"w": jnp.array([0.0, -4.0])}, optimizer.init(params), params)
>>> optax.apply_updates(params, updates)
{'w': Array([ 1. , -1.5], dtype=float32)}
"""

from typing import TYPE_CHECKING

from fjdl.names import other_names
from fjdl.optim.accumulate import AccumulateState, accumulate_gradients
from fjdl.optim.adabelief import AdabeliefState, adabelief, scale_by_adabelief
from fjdl.optim.adadelta import AdadeltaState, adadelta, scale_by_adadelta
from fjdl.optim.adafactor import (
    AdafactorState,
    adafactor,
    clip_by_leaf_rms,
    relative_step,
    scale_by_factored_rms,
    scale_by_parameter_rms,
)
from fjdl.optim.adagrad import AdagradState, adagrad, scale_by_adagrad
from fjdl.optim.adam import AdamState, adam, adamw, scale_by_adam
from fjdl.optim.adamax import AdamaxState, adamax, scale_by_adamax
from fjdl.optim.adan import AdanState, adan, scale_by_adan
from fjdl.optim.amsgrad import AmsgradState, amsgrad, scale_by_amsgrad
from fjdl.optim.average import (
    EmaState,
    SwaState,
    ema,
    ema_init,
    ema_update,
    ema_warmup,
    swa_init,
    swa_update,
)
from fjdl.optim.backtracking import BacktrackingState, scale_by_backtracking
from fjdl.optim.base import LearningRateState, chain, scale_by_learning_rate
from fjdl.optim.centralize import centralize
from fjdl.optim.clip import adaptive_clip, clip_by_global_norm, clip_by_norm, clip_by_value, per_example_clip
from fjdl.optim.decay import EVERYWHERE, KERNELS, add_decayed_weights, add_independent_decay
from fjdl.optim.fixed_norm import fix_norm
from fjdl.optim.groups import FROZEN, PartitionState, partition, scale_by_path, stop_frozen
from fjdl.optim.guard import SkipState, all_finite, skip_non_finite
from fjdl.optim.lamb import lamb
from fjdl.optim.lars import lars, scale_by_trust_ratio
from fjdl.optim.lbfgs import LBFGSState, lbfgs, scale_by_lbfgs
from fjdl.optim.lion import LionState, lion, scale_by_lion
from fjdl.optim.lookahead import LookaheadState, lookahead
from fjdl.optim.loss_scale import LossScale, LossScaleState, dynamic_loss_scale, no_loss_scale
from fjdl.optim.muon import MATRICES, MuonState, muon, newton_schulz, scale_by_muon
from fjdl.optim.nadam import (
    NadamScheduledState,
    nadam,
    nadam_scheduled,
    nadamw,
    scale_by_nadam,
    scale_by_nadam_scheduled,
)
from fjdl.optim.newton import newton, scale_by_newton
from fjdl.optim.noise import NoiseState, add_noise
from fjdl.optim.plateau import PlateauState, reduce_on_plateau
from fjdl.optim.radam import radam, scale_by_radam
from fjdl.optim.rmsprop import (
    CentredRmsState,
    RmsState,
    centred_rmsprop,
    rmsprop,
    scale_by_centred_rms,
    scale_by_rms,
)
from fjdl.optim.rprop import RpropState, rprop
from fjdl.optim.sam import sharpness_aware
from fjdl.optim.schedule_free import ScheduleFreeState, evaluation_params, schedule_free
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
from fjdl.optim.strong_wolfe import StrongWolfeState, scale_by_strong_wolfe
from fjdl.optim.yogi import scale_by_yogi, yogi

# second names, see `fjdl.names`
adaptive_grad_clip = adaptive_clip
centered_rmsprop = centred_rmsprop
scale_by_centered_rms = scale_by_centred_rms

__all__ = [
    "EVERYWHERE", "FROZEN", "KERNELS", "MATRICES", "AccumulateState", "AdabeliefState", "AdadeltaState",
    "AdafactorState", "AdagradState", "AdamState", "AdamaxState", "AdanState", "AmsgradState", "BacktrackingState",
    "CentredRmsState", "EmaState", "LBFGSState", "LearningRateState", "LionState", "LookaheadState", "LossScale",
    "LossScaleState", "MomentumState", "MuonState", "NadamScheduledState", "NoiseState", "PartitionState",
    "PlateauState", "RmsState", "RpropState", "ScheduleFreeState", "SkipState", "StrongWolfeState", "SwaState",
    "accumulate_gradients", "adabelief", "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "adan",
    "adaptive_clip", "adaptive_grad_clip", "add_decayed_weights", "add_independent_decay", "add_noise", "all_finite",
    "amsgrad", "centered_rmsprop", "centralize", "centred_rmsprop", "chain", "clip_by_global_norm", "clip_by_leaf_rms",
    "clip_by_norm", "clip_by_value", "dynamic_loss_scale", "ema", "ema_init", "ema_update", "ema_warmup",
    "evaluation_params", "fix_norm", "heavy_ball", "lamb", "lars", "lbfgs", "lion", "look_ahead", "lookahead",
    "momentum", "muon", "nadam", "nadam_scheduled", "nadamw", "nesterov", "newton", "newton_schulz", "no_loss_scale",
    "partition", "per_example_clip", "radam", "reduce_on_plateau", "relative_step", "rmsprop", "rprop",
    "scale_by_adabelief", "scale_by_adadelta", "scale_by_adagrad", "scale_by_adam", "scale_by_adamax", "scale_by_adan",
    "scale_by_amsgrad", "scale_by_backtracking", "scale_by_centered_rms", "scale_by_centred_rms",
    "scale_by_factored_rms", "scale_by_lbfgs", "scale_by_learning_rate", "scale_by_lion", "scale_by_momentum",
    "scale_by_muon", "scale_by_nadam", "scale_by_nadam_scheduled", "scale_by_nesterov", "scale_by_newton",
    "scale_by_parameter_rms", "scale_by_path", "scale_by_radam", "scale_by_rms", "scale_by_strong_wolfe",
    "scale_by_trust_ratio", "scale_by_yogi", "schedule_free", "sgd", "sharpness_aware", "skip_non_finite",
    "stop_frozen", "swa_init", "swa_update", "yogi",
]  # fmt: skip


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:
    __getattr__ = other_names(__name__)
