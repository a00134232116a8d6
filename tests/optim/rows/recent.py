"""Sign, orthogonalized and layer-wise methods."""

from functools import partial
from typing import Any
from unittest import mock

import optax
import torch

from fjdl.optim.adafactor import adafactor
from fjdl.optim.lamb import lamb
from fjdl.optim.lars import lars
from fjdl.optim.lion import lion
from fjdl.optim.muon import muon
from tests.optim.rows.row import Row


class MuonAndAdamW:
    """PyTorch's Muon for the transposed matrices, in their own precision instead of bfloat16, and its AdamW."""

    def __init__(self, tensors: list[Any], lr: float, *, multiplier: float, weight_decay: float, **muon: Any) -> None:
        self.param_groups = [{"lr": lr}]
        self.tensors, self.multiplier = tensors, multiplier
        self.copies = [torch.nn.Parameter(_outputs_first(tensor)) for tensor in tensors]
        kinds: list[Any] = [[p for p in self.copies if p.ndim == 2], [p for p in self.copies if p.ndim < 2]]
        self.muon = torch.optim.Muon(kinds[0], weight_decay=weight_decay, **muon) if kinds[0] else None
        self.adamw = torch.optim.AdamW(kinds[1], weight_decay=weight_decay) if kinds[1] else None

    def step(self) -> None:
        for tensor, copy in zip(self.tensors, self.copies, strict=True):
            copy.grad = _outputs_first(tensor.grad)
        with mock.patch.object(torch.Tensor, "bfloat16", torch.Tensor.clone):
            for part, factor in ((self.muon, 1.0), (self.adamw, self.multiplier)):
                if part is not None:
                    part.param_groups[0]["lr"] = factor * self.param_groups[0]["lr"]
                    part.step()
        for tensor, copy in zip(self.tensors, self.copies, strict=True):
            tensor.data = _outputs_first(copy)


def _outputs_first(tensor: Any) -> Any:
    return (tensor.T if tensor.ndim == 2 else tensor).detach().clone()


# Sizes are static: `optax.inject_hyperparams` would make traced arrays of them.
def muon_of_five_steps(
    learning_rate: Any, *, momentum: Any, adam_multiplier: Any, weight_decay: Any
) -> optax.GradientTransformation:
    return muon(learning_rate, momentum=momentum, adam_multiplier=adam_multiplier, weight_decay=weight_decay)


def adafactor_of_all_sizes(
    learning_rate: Any, *, decay_exponent: Any, max_rms: Any, min_scale: Any
) -> optax.GradientTransformation:
    options = {"decay_exponent": decay_exponent, "max_rms": max_rms, "min_scale": min_scale}
    return adafactor(learning_rate, min_size=1, **options)


ROWS = {
    "lion": Row(
        lion,
        {"b1": 0.9, "b2": 0.99, "weight_decay": 0.01},
        optax=partial(optax.lion, b1=0.9, b2=0.99, weight_decay=0.01),
        quadratic=(0.899, 0.798101, 0.697302899),
        parabola=1e-3,
        rate=1e-3,
    ),
    "muon": Row(
        muon_of_five_steps,
        {"momentum": 0.95, "adam_multiplier": 0.5, "weight_decay": 0.01},
        partial(MuonAndAdamW, multiplier=0.5, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        quadratic=(0.899, 0.79851903, 0.69891118),  # of a scalar: those of AdamW at twice the rate
        quadratic_rate=0.2,
        layout_free=False,
    ),
    "lamb": Row(
        lamb,
        {"weight_decay": 0.01},
        optax=partial(optax.lamb, weight_decay=0.01),
        quadratic=(0.9, 0.81, 0.729),  # of a scalar: w (1 - rate) until the gradient's sign changes
        layout_free=False,
    ),
    "lars": Row(
        lars,
        {"weight_decay": 0.01, "trust_coefficient": 1e-3},
        optax=partial(optax.lars, weight_decay=0.01),
        quadratic=(0.9, 0.72, 0.486),  # of a scalar: v = 0.9 v - 1e-3 rate w
        quadratic_rate=100.0,
        parabola=0.5,
        rate=1.0,
        layout_free=False,
    ),
    "adafactor": Row(
        adafactor_of_all_sizes,
        {"decay_exponent": 0.8, "max_rms": 1.0, "min_scale": 1e-3},
        lambda p, lr: torch.optim.Adafactor(p, lr, eps=(1e-18, 1e-3), weight_decay=0.0),  # it squares 1e-18
        quadratic=(0.9, 0.81418228, 0.73989225),
        layout_free=False,
    ),
}
