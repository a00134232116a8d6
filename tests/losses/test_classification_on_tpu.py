"""Cross entropy in the form that a TPU gets, run on the CPU beside the form of the other platforms."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.losses import classification
from fjdl.losses.classification import soft_cross_entropy, softmax_cross_entropy
from tests.support import float64


@pytest.fixture
def on_tpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls take the form of a TPU."""
    monkeypatch.setattr(
        classification, "by_platform", lambda *operands, elsewhere, tpu=None, cpu=None: (tpu or elsewhere)(*operands)
    )


def rows(rng: np.random.Generator) -> tuple[jax.Array, jax.Array]:
    """Logits of rows of every kind, and labels of which one is out of range."""
    inf = np.inf
    kinds = [
        rng.standard_normal(4), np.zeros(4), [3e38, -3e38, 0, 1], [-inf, 1, 2, -inf], [1, -inf, 2, 3], [-inf] * 4,
        [inf, 1, -inf, inf], [0, inf, -inf, 1], [inf] * 4, [np.nan, 1, 2, 3], [1, np.nan, -inf, 0], [1, 2, 3, 4],
        [100, 0, -100, 1e4], [-1e4, -1e4, -2e4, 3e-39],
    ]  # fmt: skip
    labels = [2, 1, 0, 2, 1, 0, 0, 0, 3, 1, 2, 7, 3, 1]
    return jnp.asarray(np.stack([np.asarray(kind, np.float32) for kind in kinds])), jnp.asarray(labels)


def program(loss):
    """Values and, for cotangents of ordinary size, gradients."""

    def both(logits, targets):
        values, pullback = jax.vjp(lambda logits: loss(logits, targets), logits)
        return values, pullback(jnp.linspace(0.5, 2.0, values.size, dtype=values.dtype).reshape(values.shape))[0]

    return jax.jit(both)


OPTIONS = [{}, {"smoothing": 0.1}, {"ignore_label": 1}, {"class_weights": jnp.asarray([1.0, 2.0, 0.5, 3.0])}]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "smoothed", "ignored", "weighted"])
def test_values_and_gradients_of_labels_are_those_of_the_other_form(options, dtype, rng, request):
    logits, labels = rows(rng)
    loss = partial(softmax_cross_entropy, **options)
    expected = program(loss)(logits.astype(dtype), labels)
    request.getfixturevalue("on_tpu")
    for a, b in zip(program(loss)(logits.astype(dtype), labels), expected, strict=True):
        np.testing.assert_allclose(np.asarray(a, np.float32), np.asarray(b, np.float32), rtol=2e-6, atol=1e-6)


def test_values_and_gradients_of_distributions_are_those_of_the_other_form(rng, request):
    logits, _ = rows(rng)
    targets = jnp.asarray(rng.dirichlet(np.ones(4), len(logits)), jnp.float32).at[:, 0].set(0)
    expected = program(soft_cross_entropy)(logits, targets)
    request.getfixturevalue("on_tpu")
    for a, b in zip(program(soft_cross_entropy)(logits, targets), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-6, atol=1e-6)


@pytest.mark.usefixtures("on_tpu")
def test_its_second_derivative_is_the_covariance_of_the_probabilities(rng):
    """∂²/∂x² of log Σ exp x is diag(p) - p pᵀ."""
    with float64():
        x = jnp.asarray(rng.standard_normal(5))
        p = np.exp(x) / np.exp(x).sum()
        hessian = jax.jit(jax.hessian(lambda x: softmax_cross_entropy(x[None], jnp.asarray([2]))[0]))(x)
        np.testing.assert_allclose(hessian, np.diag(p) - np.outer(p, p), atol=1e-12)


@pytest.mark.usefixtures("on_tpu")
def test_no_classes_give_zero():
    values = jax.jit(lambda x: soft_cross_entropy(x, x))(jnp.zeros((2, 0)))
    np.testing.assert_array_equal(values, [0.0, 0.0])
