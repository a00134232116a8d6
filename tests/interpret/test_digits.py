"""LeNet-5 on real digits, trained for a few steps: what must hold of maps of a trained network."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.stats import spearmanr

from fjdl import nn
from fjdl.data.embedded import digits
from fjdl.data.source import to_arrays
from fjdl.interpret import (
    completeness_gap,
    grad_cam,
    gradient_times_input,
    input_gradient,
    integrated_gradients,
    pgd,
    robust_accuracy,
    saliency_map,
    smooth_gradient,
)
from fjdl.losses import softmax_cross_entropy
from fjdl.models import LeNet5

MODEL = nn.pure(LeNet5(padding=(2, 2)))
SHOWN = 32


class Trained:
    """Parameters after 60 steps on all training digits, those before the first, and some test digits."""

    def __init__(self) -> None:
        data = digits()
        train, test = (to_arrays(part) for part in (data.train, data.test))
        x, labels = jnp.asarray(train["image"], jnp.float32) / 16, jnp.asarray(train["label"])
        self.start, _ = jax.jit(MODEL.init)(jax.random.key(0), x[:1])
        optimizer = optax.adam(1e-2)

        def step(carry: Any, key: Any) -> Any:
            params, state = carry
            chosen = jax.random.randint(key, (256,), 0, x.shape[0])
            loss = lambda params: softmax_cross_entropy(scores(params, x[chosen]), labels[chosen]).mean()  # noqa: E731
            updates, state = optimizer.update(jax.grad(loss)(params), state)
            return (optax.apply_updates(params, updates), state), None

        keys = jax.random.split(jax.random.key(1), 60)
        train_all = jax.jit(lambda params: jax.lax.scan(step, (params, optimizer.init(params)), keys)[0][0])
        self.params = train_all(self.start)
        self.other, _ = jax.jit(MODEL.init)(jax.random.key(2), x[:1])
        self.x = jnp.asarray(test["image"][:SHOWN], jnp.float32) / 16
        self.labels = jnp.asarray(test["label"][:SHOWN])
        self.classes = jnp.argmax(jax.jit(scores)(self.params, self.x), axis=1)


def scores(params: Any, x: Any) -> Any:
    return MODEL.apply(params, {}, x)[0]


@pytest.fixture(scope="module")
def trained() -> Trained:
    made = Trained()
    assert float(jnp.mean(made.classes == made.labels)) > 0.85
    return made


@pytest.mark.by_day_on_pin(1)
def test_integrated_gradients_of_a_trained_network_are_complete_to_one_percent(trained: Trained) -> None:
    @jax.jit
    def measure(params: Any) -> Any:
        network = partial(scores, params)
        found = integrated_gradients(network, trained.x, trained.classes)
        gap = completeness_gap(network, trained.x, trained.classes, found)
        return gap, found.reshape(SHOWN, -1).sum(axis=1) - gap

    gap, whole = measure(trained.params)
    assert float(jnp.max(jnp.abs(gap) / jnp.abs(whole))) < 0.01


def cam(network: Any, x: Any, classes: Any) -> Any:
    watched = nn.observed(network, names=("conv2",))
    features = watched(x)[1]["conv2"]
    return grad_cam(lambda features: watched(x, replaced={"conv2": features})[0], features, classes)


METHODS: dict[str, Callable[..., Any]] = {
    "gradient": input_gradient,
    "saliency": saliency_map,
    "SmoothGrad": partial(smooth_gradient, jax.random.key(0), samples=8),
    "Grad-CAM": cam,
    "gradient x input": gradient_times_input,
    "integrated": partial(integrated_gradients, steps=16),
}


@pytest.mark.by_day_on_pin(0)
def test_maps_of_random_weights_are_others_than_those_of_trained_ones(trained: Trained) -> None:
    """Adebayo et al. 2018, arXiv:1810.03292: rank correlations, where the input is not 0, of signed maps."""

    @jax.jit
    def maps(params: Any) -> dict[str, Any]:
        return {name: m(partial(scores, params), trained.x, trained.classes) for name, m in METHODS.items()}

    found, again = maps(trained.params), maps(trained.params)
    for random in (trained.start, trained.other):
        others = maps(random)
        for name in METHODS:
            np.testing.assert_array_equal(found[name], again[name])
            rank = mean_rank_correlation(found[name], others[name], trained.x[..., 0] > 0)
            assert abs(rank) < 0.4, (name, rank)


def mean_rank_correlation(first: Any, second: Any, ink: Any) -> float:
    """The mean over images of Spearman's correlation, where there is ink in maps of pixels; maps of 0 have none."""
    pairs = zip(np.asarray(first), np.asarray(second), np.asarray(ink), strict=True)
    chosen = [(a[where], b[where]) if a.shape[:2] == where.shape else (a, b) for a, b, where in pairs]
    ranks = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in chosen if np.ptp(a) and np.ptp(b)]
    assert len(ranks) > SHOWN / 2
    return float(np.mean(ranks))


@pytest.mark.by_day_on_pin(1)
def test_a_trained_network_is_fooled_within_a_small_ball(trained: Trained) -> None:
    attack = partial(pgd, radius=0.15, step=0.04, steps=8)
    found = jax.jit(
        lambda params: robust_accuracy(
            jax.random.key(0), partial(scores, params), trained.x, trained.labels, attack=attack, batch_size=20
        )
    )(trained.params)
    assert float(found.clean) > 0.85
    assert float(found.robust) < 0.6 * float(found.clean)
    assert int(found.held.sum()) == round(SHOWN * float(found.robust))
