import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.losses import classification, focal
from fjdl.losses.reduce import mean
from tests.support import float64


def torchvision_focal(logits, targets, *, gamma, alpha):
    p = torch.sigmoid(logits)
    nats = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    p_t = p * targets + (1 - p) * (1 - targets)
    values = nats * (1 - p_t) ** gamma
    return values if alpha is None else (alpha * targets + (1 - alpha) * (1 - targets)) * values


@pytest.mark.parametrize(("gamma", "alpha"), [(0.0, None), (0.5, 0.25), (2.0, 0.9), (5.0, None)])
def test_sigmoid_focal_equals_the_formula_of_torchvision_in_value_and_gradient(rng, gamma, alpha):
    x, t = 3 * rng.standard_normal((4, 3)), rng.integers(0, 2, (4, 3)).astype(float)
    t[0], x[1, 0] = [0.2, 0.5, 1], 0
    logits = torch.tensor(x, requires_grad=True)
    expected = torchvision_focal(logits, torch.tensor(t), gamma=gamma, alpha=alpha)
    expected.sum().backward()
    with float64():

        def total(x):
            values = focal.sigmoid_focal_loss(x, t, gamma=gamma, alpha=alpha)
            return jnp.sum(values), values

        gradient, values = jax.jit(jax.grad(total, has_aux=True))(x)
    np.testing.assert_allclose(values, expected.detach(), rtol=1e-11)
    np.testing.assert_allclose(gradient, logits.grad, rtol=1e-9)


def test_e24_logarithms_are_natural():
    with float64():
        values = focal.sigmoid_focal_loss(np.log([9.0, 2 / 3]), np.ones(2), gamma=2.0)
    np.testing.assert_allclose(values, [-0.01 * np.log(0.9), -0.36 * np.log(0.4)], rtol=1e-13)


def test_e25_alpha_weighs_positives_and_its_complement_negatives():
    zeros = np.zeros(2, np.float32)
    values = focal.sigmoid_focal_loss(zeros, np.float32([1, 0]), gamma=2.0, alpha=0.25)
    np.testing.assert_allclose(values, np.array([0.25, 0.75]) * 0.25 * np.log(2), rtol=1e-6)


def test_e25_alpha_of_classes_is_a_weight_for_each_and_none_by_default():
    logits, labels = np.zeros((2, 2), np.float32), np.array([0, 1])
    plain = np.full(2, 0.25 * np.log(2))
    np.testing.assert_allclose(focal.softmax_focal_loss(logits, labels), plain, rtol=1e-6)
    weighted = focal.softmax_focal_loss(logits, labels, alpha=np.float32([3, 0.5]))
    np.testing.assert_allclose(weighted, plain * [3, 0.5], rtol=1e-6)


def test_two_classes_are_the_binary_case(rng):
    x, y = rng.standard_normal(5).astype(np.float32), np.array([0, 1, 1, 0, 1])
    rows = np.stack([np.zeros(5, np.float32), x], axis=-1)
    np.testing.assert_allclose(
        focal.softmax_focal_loss(rows, y, gamma=1.5),
        focal.sigmoid_focal_loss(x, y.astype(np.float32), gamma=1.5),
        rtol=1e-5,
    )


def test_gamma_0_is_cross_entropy(rng):
    x, y = rng.standard_normal((4, 3)).astype(np.float32), np.array([0, 1, 2, 1])
    np.testing.assert_array_equal(focal.softmax_focal_loss(x, y, gamma=0.0), classification.softmax_cross_entropy(x, y))


@pytest.mark.parametrize("label", [-1, 2, 255])
def test_a_label_out_of_range_is_nan_unless_it_is_masked(label):
    labels, alpha = np.array([0, label]), np.float32([1, 2])

    def loss(x, mask):
        return mean(focal.softmax_focal_loss(x, labels, gamma=0.5, alpha=alpha), mask=mask)

    gradient = jax.grad(loss)(jnp.zeros((2, 2)), np.array([True, True]))
    np.testing.assert_array_equal(np.isnan(gradient), [[False] * 2, [True] * 2])
    value, gradient = jax.value_and_grad(loss)(jnp.zeros((2, 2)), np.array([True, False]))
    assert value == pytest.approx(np.sqrt(0.5) * np.log(2))
    assert np.isfinite(gradient).all()


def test_bad_options_are_refused_in_one_sentence():
    x = np.zeros(1, np.float32)
    with pytest.raises(ValueError, match=r"^gamma must not be negative, got -1.0$"):
        focal.sigmoid_focal_loss(x, x, gamma=-1.0)
    with pytest.raises(ValueError, match=r"^alpha must lie in \[0, 1\], got 1.5$"):
        focal.sigmoid_focal_loss(x, x, alpha=1.5)
