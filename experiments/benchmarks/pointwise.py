"""Losses and activations, forward and backward, on large arrays: fjdl jitted against PyTorch."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch.nn import functional as F

from experiments.benchmarks.comparison import Comparison
from fjdl import functional, losses

CLASSES = 128


def comparisons(elements: int, only: str) -> Iterator[Comparison]:
    """Each function whose name contains `only`: activations with a given upstream gradient, losses with their mean."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    n = elements // CLASSES
    for name, (ours, theirs) in activations().items():
        if only in name:
            yield activation(name, ours, theirs, normal(n, CLASSES), dense(n))
    for name, (ours, theirs, make) in loss_functions().items():
        if only in name:
            yield loss(name, ours, theirs, normal(n, CLASSES), make(n))


def activations() -> dict[str, tuple[Callable[..., Any], Callable[..., Any]]]:
    """Ours and PyTorch's."""
    f = functional
    return {
        "relu": (f.relu, F.relu),
        "leaky_relu": (f.leaky_relu, F.leaky_relu),
        "elu": (f.elu, F.elu),
        "selu": (f.selu, F.selu),
        "sigmoid": (f.sigmoid, torch.sigmoid),
        "log_sigmoid": (f.log_sigmoid, F.logsigmoid),
        "tanh": (f.tanh, torch.tanh),
        "gelu": (f.gelu, F.gelu),
        "gelu_tanh": (f.gelu_tanh, partial(F.gelu, approximate="tanh")),
        "silu": (f.silu, F.silu),
        "mish": (f.mish, F.mish),
        "softplus": (f.softplus, F.softplus),
        "softsign": (f.softsign, F.softsign),
        "erf": (f.erf, torch.erf),
        "hard_tanh": (f.hard_tanh, F.hardtanh),
        "hard_sigmoid": (f.hard_sigmoid, F.hardsigmoid),
        "hard_swish": (f.hard_swish, F.hardswish),
        "softmax": (f.softmax, partial(F.softmax, dim=-1)),
        "log_softmax": (f.log_softmax, partial(F.log_softmax, dim=-1)),
    }


def loss_functions() -> dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[[int], np.ndarray]]]:
    """Ours, PyTorch's, and a way to make the targets of n examples."""
    none = {"reduction": "none"}
    return {
        "mse": (losses.mse_loss, partial(F.mse_loss, **none), dense),
        "mae": (losses.mae_loss, partial(F.l1_loss, **none), dense),
        "huber": (losses.huber_loss, partial(F.huber_loss, **none), dense),
        "smooth_l1": (losses.smooth_l1_loss, partial(F.smooth_l1_loss, **none), dense),
        "log_cosh": (losses.log_cosh_loss, torch_log_cosh, dense),
        "poisson": (losses.poisson_nll_loss, partial(F.poisson_nll_loss, **none), counts),
        "softmax_cross_entropy": (losses.softmax_cross_entropy, partial(F.cross_entropy, **none), labels),
        "softmax_cross_entropy, smoothed": (
            partial(losses.softmax_cross_entropy, smoothing=0.1),
            partial(F.cross_entropy, label_smoothing=0.1, **none),
            labels,
        ),
        "soft_cross_entropy": (losses.soft_cross_entropy, partial(F.cross_entropy, **none), distribution),
        "sigmoid_cross_entropy": (
            losses.sigmoid_cross_entropy,
            partial(F.binary_cross_entropy_with_logits, **none),
            bits,
        ),
        "sigmoid_focal": (losses.sigmoid_focal_loss, torch_focal, bits),
        "kl_divergence_with_logits": (losses.kl_divergence_with_logits, torch_kl, distribution),
        "hinge": (losses.hinge_loss, torch_hinge, signs),
    }


def torch_log_cosh(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """PyTorch has none: the stable formula."""
    size = (x - y).abs()
    return size + F.softplus(-2 * size) - np.log(2)


def torch_focal(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Torchvision's formula with gamma 2 and without alpha."""
    p = torch.sigmoid(x)
    p_t = p * y + (1 - p) * (1 - y)
    return F.binary_cross_entropy_with_logits(x, y, reduction="none") * (1 - p_t) ** 2


def torch_kl(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """From logits, as ours."""
    return F.kl_div(F.log_softmax(x, dim=-1), y, reduction="none").sum(-1)


def torch_hinge(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """PyTorch has none for scores and signs."""
    return torch.clamp(1 - x * y, min=0)


def normal(*shape: int) -> np.ndarray:
    """Logits, or inputs of activations."""
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32) * 2


def dense(n: int) -> np.ndarray:
    """Targets of a regression."""
    return np.random.default_rng(1).standard_normal((n, CLASSES), dtype=np.float32)


def labels(n: int) -> np.ndarray:
    """A class for each example."""
    return np.random.default_rng(1).integers(0, CLASSES, n)


def counts(n: int) -> np.ndarray:
    """Poisson numbers."""
    return np.random.default_rng(1).poisson(3.0, (n, CLASSES)).astype(np.float32)


def bits(n: int) -> np.ndarray:
    """Zeros and ones."""
    return np.random.default_rng(1).integers(0, 2, (n, CLASSES)).astype(np.float32)


def signs(n: int) -> np.ndarray:
    """-1 and 1."""
    return 2 * bits(n) - 1


def distribution(n: int) -> np.ndarray:
    """Probabilities for each example."""
    values = np.random.default_rng(1).uniform(size=(n, CLASSES)).astype(np.float32)
    return values / values.sum(axis=1, keepdims=True)


def activation(
    name: str, ours: Callable[..., Any], theirs: Callable[..., Any], x: np.ndarray, upstream: np.ndarray
) -> Comparison:
    """Value, and the upstream gradient pulled back."""

    @jax.jit
    def step(x: Any, upstream: Any) -> tuple[Any, Any]:
        value, pull = jax.vjp(ours, x)
        return value, pull(upstream)[0]

    placed, tensor, gradient = (jnp.asarray(x), jnp.asarray(upstream)), torch.tensor(x), torch.tensor(upstream)
    tensor.requires_grad_(True)

    def run() -> torch.Tensor:
        tensor.grad = None
        value = theirs(tensor)
        value.backward(gradient)
        return value.detach()

    check(step(*placed), (run(), tensor.grad))
    return Comparison(name, {"fjdl": lambda: jax.block_until_ready(step(*placed)), "PyTorch": run})


def loss(
    name: str, ours: Callable[..., Any], theirs: Callable[..., Any], x: np.ndarray, targets: np.ndarray
) -> Comparison:
    """Mean over all examples, and its gradient."""
    step = jax.jit(jax.value_and_grad(lambda x, y: jnp.mean(ours(x, y))))
    labels = targets.astype(np.int32) if targets.dtype == np.int64 else targets
    placed, tensor, truth = (jnp.asarray(x), jnp.asarray(labels)), torch.tensor(x), torch.tensor(targets)
    tensor.requires_grad_(True)

    def run() -> torch.Tensor:
        tensor.grad = None
        value = theirs(tensor, truth).mean()
        value.backward()
        return value.detach()

    check(step(*placed), (run(), tensor.grad))
    return Comparison(name, {"fjdl": lambda: jax.block_until_ready(step(*placed)), "PyTorch": run})


def check(ours: Any, theirs: Any) -> None:
    """Refuses to compare different results."""
    for a, b in zip(ours, theirs, strict=True):
        head = np.asarray(b)[:100] if np.ndim(b) else np.asarray(b)
        np.testing.assert_allclose(
            np.asarray(a[:100] if np.ndim(a) else a), head, rtol=2e-3, atol=1e-4 * np.abs(head).max()
        )
