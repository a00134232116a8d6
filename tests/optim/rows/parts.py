"""Every transformation that is no optimizer of its own: what chains are made of, and what goes around them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from optax import GradientTransformation

from fjdl import optim


def loss(params: Any) -> Any:
    """A bowl, real for complex parameters too."""
    return sum(jnp.sum(jnp.square(leaf.real) + 2 * jnp.square(leaf.imag)) for leaf in jax.tree.leaves(params))


def losses(params: Any) -> dict[str, Any]:
    return {"value": loss(params), "value_fn": loss}


def gradients(params: Any) -> dict[str, Any]:
    return {"grad_fn": lambda p: jax.tree.map(jnp.conj, jax.grad(loss)(p))}


class Part(NamedTuple):
    """One transformation under the laws of all."""

    factory: Callable[..., GradientTransformation]
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = {}  # noqa: RUF012  # nobody changes it
    extra: Callable[[Any], dict[str, Any]] = lambda params: {}  # the keyword arguments of `update`
    vectors: bool = True  # moves leaves of fewer than two axes too
    turns: bool = True  # turning all complex numbers by one angle turns the updates by it
    random: bool = False  # draws noise
    real_only: bool = False  # refuses complex leaves
    mixes: bool = False  # the update of a leaf depends on the others

    def build(self) -> GradientTransformation:
        return self.factory(*self.args, **self.options)


def adam() -> GradientTransformation:
    return optim.adam(0.1)


PARTS: dict[str, Part] = {
    "accumulate_gradients": Part(optim.accumulate_gradients, (adam(),), {"every": 2}, mixes=True),
    "adaptive_clip": Part(optim.adaptive_clip, (0.1,)),
    "add_decayed_weights": Part(optim.add_decayed_weights, (0.1,)),
    "add_independent_decay": Part(optim.add_independent_decay, (0.1,)),
    "add_noise": Part(optim.add_noise, (jax.random.key(0),), {"eta": 0.1}, random=True),
    "centralize": Part(optim.centralize),
    "clip_by_global_norm": Part(optim.clip_by_global_norm, (1.0,), mixes=True),
    "clip_by_leaf_rms": Part(optim.clip_by_leaf_rms, (0.1,)),
    "clip_by_norm": Part(optim.clip_by_norm, (0.1,)),
    "clip_by_value": Part(optim.clip_by_value, (0.1,), real_only=True),
    "ema": Part(optim.ema, (0.9,)),
    "fix_norm": Part(optim.fix_norm),
    "lbfgs": Part(optim.lbfgs, (), {"memory": 3}, losses, turns=False, mixes=True),
    "lookahead": Part(optim.lookahead, (adam(),), {"every": 2, "rate": 0.5}),
    "newton": Part(optim.newton, (), {"damping": 0.1}, losses, real_only=True, mixes=True),
    "partition": Part(optim.partition, ([(".*", adam())],)),
    "reduce_on_plateau": Part(
        optim.reduce_on_plateau,
        (),
        {},
        lambda params: {"value": 1.0},
        mixes=True,
    ),
    "scale_by_adabelief": Part(optim.scale_by_adabelief),
    "scale_by_adadelta": Part(optim.scale_by_adadelta),
    "scale_by_adagrad": Part(optim.scale_by_adagrad),
    "scale_by_adan": Part(optim.scale_by_adan),
    "scale_by_adam": Part(optim.scale_by_adam),
    "scale_by_adamax": Part(optim.scale_by_adamax),
    "scale_by_amsgrad": Part(optim.scale_by_amsgrad),
    "scale_by_backtracking": Part(optim.scale_by_backtracking, (), {}, losses, turns=False, mixes=True),
    "scale_by_centred_rms": Part(optim.scale_by_centred_rms),
    "scale_by_factored_rms": Part(optim.scale_by_factored_rms, (), {"min_size": 2}),
    "scale_by_lbfgs": Part(optim.scale_by_lbfgs, (), {"memory": 3}, mixes=True),
    "scale_by_learning_rate": Part(optim.scale_by_learning_rate, (0.1,)),
    "scale_by_lion": Part(optim.scale_by_lion),
    "scale_by_momentum": Part(optim.scale_by_momentum, (0.9,)),
    "scale_by_muon": Part(optim.scale_by_muon, vectors=False),
    "scale_by_nadam": Part(optim.scale_by_nadam),
    "scale_by_nadam_scheduled": Part(optim.scale_by_nadam_scheduled),
    "scale_by_nesterov": Part(optim.scale_by_nesterov, (0.9,)),
    "scale_by_newton": Part(optim.scale_by_newton, (), {"damping": 0.1}, losses, real_only=True, mixes=True),
    "scale_by_parameter_rms": Part(optim.scale_by_parameter_rms),
    "scale_by_path": Part(optim.scale_by_path, ([(".*", 0.5)],)),
    "scale_by_radam": Part(optim.scale_by_radam),
    "scale_by_rms": Part(optim.scale_by_rms),
    "scale_by_strong_wolfe": Part(optim.scale_by_strong_wolfe, (), {}, losses, turns=False, mixes=True),
    "scale_by_trust_ratio": Part(optim.scale_by_trust_ratio),
    "scale_by_yogi": Part(optim.scale_by_yogi),
    "schedule_free": Part(optim.schedule_free, (optim.sgd(0.1), 0.1)),
    "sharpness_aware": Part(optim.sharpness_aware, (adam(),), {}, gradients, turns=False, mixes=True),
    "skip_non_finite": Part(optim.skip_non_finite, (adam(),), mixes=True),
}
