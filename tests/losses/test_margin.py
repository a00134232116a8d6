import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from sklearn.metrics import hinge_loss

from fjdl.losses import margin
from tests.support import float64


def test_targets_of_0_and_1_of_minus_and_plus_1_and_bools_mean_the_same(rng):
    scores, truth = rng.standard_normal(6).astype(np.float32), np.array([0, 1, 1, 0, 1, 0])
    expected = hinge_loss(2 * truth - 1, scores)
    for targets in (truth, 2 * truth - 1, truth.astype(bool), truth.astype(np.float32)):
        values = margin.hinge_loss(scores, targets)
        assert np.mean(values) == pytest.approx(expected, rel=1e-6)
        np.testing.assert_allclose(margin.squared_hinge_loss(scores, targets), np.square(values), rtol=1e-6)


def test_gradients_at_the_margin_are_0():
    scores, targets = jnp.float32([1, -1, 0.5, 2]), np.array([1, 0, 1, 1])
    np.testing.assert_array_equal(jax.grad(lambda s: jnp.sum(margin.hinge_loss(s, targets)))(scores), [0, 0, -1, 0])
    np.testing.assert_array_equal(
        jax.grad(lambda s: jnp.sum(margin.squared_hinge_loss(s, targets)))(scores), [0, 0, -1, 0]
    )


@pytest.mark.parametrize(("p", "width"), [(1, 1.0), (2, 1.0), (1, 0.25), (2, 0.25)])
def test_multi_margin_equals_torch_in_value_and_gradient_and_at_the_margin(rng, p, width):
    x, labels = rng.integers(-4, 5, (9, 4)) / 4, rng.integers(0, 4, 9)  # quarters: many scores are at the margin
    logits = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.multi_margin_loss(logits, torch.tensor(labels), p=p, margin=width, reduction="none")
    expected.sum().backward()
    with float64():
        values, vjp = jax.vjp(lambda x: margin.multi_margin_loss(x, labels, p=p, margin=width), x)
        (gradient,) = vjp(jnp.ones(9))
    np.testing.assert_allclose(values, expected.detach(), rtol=1e-13)
    np.testing.assert_allclose(gradient, logits.grad, rtol=1e-13, atol=1e-15)


def test_crammer_singer_equals_sklearn(rng):
    x, labels = rng.standard_normal((9, 4)).astype(np.float32), rng.integers(0, 4, 9)
    values = margin.crammer_singer_loss(x, labels)
    assert np.mean(values) == pytest.approx(hinge_loss(labels, x, labels=range(4)), rel=1e-6)


def test_only_the_strongest_rival_is_pushed_down_and_equals_share():
    x = jnp.float32([[0, 0.5, 0.2], [0, 0.5, 0.5], [3, 0, 0]])
    gradient = jax.grad(lambda x: jnp.sum(margin.crammer_singer_loss(x, np.array([0, 0, 0]))))(x)
    np.testing.assert_array_equal(gradient, [[-1, 1, 0], [-1, 0.5, 0.5], [0, 0, 0]])


@pytest.mark.parametrize("loss", [margin.crammer_singer_loss, margin.multi_margin_loss])
def test_a_label_out_of_range_gives_nan_to_its_example_only(loss):
    labels, x = np.array([0, 255, 255], np.uint8), jnp.float32([[0, 0], [0, 0], [9, -9]])
    values, gradient = jax.jit(lambda x: (loss(x, labels), jax.grad(lambda x: jnp.sum(loss(x, labels)))(x)))(x)
    np.testing.assert_array_equal(np.isnan(values), [False, True, True])
    np.testing.assert_array_equal(np.isnan(gradient), [[False] * 2, [True] * 2, [True] * 2])


def test_another_power_is_refused():
    with pytest.raises(ValueError, match=r"^p must be 1 or 2, got 3$"):
        margin.multi_margin_loss(np.zeros((1, 2), np.float32), np.zeros(1, int), p=3)
