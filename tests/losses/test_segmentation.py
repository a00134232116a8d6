from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from fjdl.losses import segmentation
from tests.losses import oracles
from tests.support import float64

COMMON = ("space", "smooth", "skip_absent")
dice_loss = jax.jit(segmentation.dice_loss, static_argnames=COMMON)
jaccard_loss = jax.jit(segmentation.jaccard_loss, static_argnames=COMMON)
tversky_loss = jax.jit(segmentation.tversky_loss, static_argnames=(*COMMON, "alpha", "beta"))
focal_tversky_loss = jax.jit(segmentation.focal_tversky_loss, static_argnames=(*COMMON, "alpha", "beta", "gamma"))
LOSSES = (dice_loss, jaccard_loss, tversky_loss, focal_tversky_loss)
every_loss = pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)


def some_images(rng, *shape):
    """Probabilities and one-hot targets in which the last class is absent from the targets."""
    classes = shape[-1]
    targets = np.eye(classes)[rng.integers(0, classes - 1, shape[:-1])]
    return rng.dirichlet(np.ones(classes), shape[:-1]), targets


@pytest.mark.parametrize("smooth", [0.0, 1.0])
def test_dice_equals_torch_in_value_and_gradient(rng, smooth):
    p, t = some_images(rng, 3, 4, 5, 3)
    tensor = torch.tensor(p, requires_grad=True)
    per_class = torch.stack(
        [oracles.dice(a.flatten(0, 1), b.flatten(0, 1), smooth) for a, b in zip(tensor, torch.tensor(t), strict=True)]
    )
    expected = 1 - per_class.mean(-1)
    expected.sum().backward()
    with float64():
        values, pull = jax.vjp(jax.jit(lambda p: dice_loss(p, jnp.asarray(t), smooth=smooth)), p)
        (gradient,) = pull(jnp.ones_like(values))
    np.testing.assert_allclose(values, expected.detach(), rtol=1e-12)
    np.testing.assert_allclose(gradient, tensor.grad, rtol=1e-9, atol=1e-14)


def test_tversky_of_halves_is_dice_with_twice_the_smooth_and_of_ones_is_jaccard(rng):
    p, t = (x.astype(np.float32) for x in some_images(rng, 2, 3, 3, 4))
    dice = dice_loss(p, t, smooth=2.0)
    np.testing.assert_allclose(tversky_loss(p, t, alpha=0.5, beta=0.5, smooth=1.0), dice, rtol=1e-6)
    jaccard = jaccard_loss(p, t, smooth=1.0)
    np.testing.assert_allclose(tversky_loss(p, t, alpha=1, beta=1, smooth=1.0), jaccard, rtol=1e-6)
    focal = focal_tversky_loss(p, t, gamma=1)
    np.testing.assert_allclose(focal, tversky_loss(p, t), rtol=1e-6)


def test_on_masks_one_minus_jaccard_is_the_iou_of_sets():
    p, t = np.float32([1, 1, 1, 0, 0])[:, None], np.float32([0, 1, 1, 1, 0])[:, None]
    assert jaccard_loss(p, t, space=1) == pytest.approx(1 - 2 / 4)
    assert dice_loss(p, t, space=1) == pytest.approx(1 - 4 / 6)


def test_alpha_weighs_false_positives_and_beta_false_negatives():
    p, t = np.float32([1, 1, 1, 1, 0])[:, None], np.float32([1, 1, 0, 0, 1])[:, None]  # TP 2, FP 2, FN 1
    assert tversky_loss(p, t, space=1, alpha=0.3, beta=0.7) == pytest.approx(1.3 / 3.3)
    focal = focal_tversky_loss(p, t, space=1, gamma=4 / 3)
    assert focal == pytest.approx((1.3 / 3.3) ** 0.75)


def test_space_says_which_axes_are_pixels(rng):
    p, t = (x.astype(np.float32) for x in some_images(rng, 4, 2, 3, 3))
    flat = p.reshape(4, 6, 3), t.reshape(4, 6, 3)
    np.testing.assert_allclose(dice_loss(*flat, space=1), dice_loss(p, t), rtol=1e-6)
    whole = dice_loss(p, t, space=3)
    assert whole.shape == ()
    expected = 1 - oracles.dice(*(torch.tensor(x.reshape(24, 3)) for x in (p, t))).mean()
    assert whole == pytest.approx(float(expected), rel=1e-5)
    assert dice_loss(p, t, space=0).shape == (4, 2, 3)


def test_classes_absent_from_both_are_left_out_or_count_as_perfect():
    p, t = np.float32([[1, 0, 0], [1, 0, 0]]), np.float32([[1, 0, 0], [0, 1, 0]])  # Dice 2/3, 0, absent
    assert dice_loss(p, t, space=1) == pytest.approx(1 - 1 / 3)
    assert dice_loss(p, t, space=1, skip_absent=False) == pytest.approx(1 - 5 / 9)
    weights = np.float32([3, 1, 7])
    assert dice_loss(p, t, space=1, class_weights=weights) == pytest.approx(1 - 2 / 4)
    assert dice_loss(p, t, space=1, class_weights=np.zeros(3, np.float32)) == 0


@every_loss
def test_masked_pixels_and_what_they_hold_are_left_out(rng, loss):
    p, t = (x.astype(np.float32) for x in some_images(rng, 3, 4, 3))
    mask = rng.random((3, 4)) < 0.6
    inside = loss(p[mask], t[mask], space=1)
    p[~mask], t[~mask] = np.nan, np.inf
    value, gradient = jax.jit(jax.value_and_grad(partial(loss, mask=mask)))(p, t)
    assert value == pytest.approx(float(inside), rel=1e-6)
    assert np.isfinite(gradient).all()
    assert not gradient[~mask].any()


@every_loss
def test_a_perfect_prediction_costs_nothing_with_a_finite_gradient(loss):
    t = jnp.eye(3)[jnp.array([[0, 1], [2, 0]])]
    value, gradient = jax.value_and_grad(loss)(t, t)
    assert value == 0
    assert jnp.isfinite(gradient).all()


def test_an_almost_perfect_prediction_keeps_its_digits_in_float32():
    t = np.ones((1000, 1), np.float32)
    p = t.copy()
    p[0] = 1 - 2.0**-20
    assert dice_loss(p, t, space=1) == pytest.approx(2.0**-20 / (2000 - 2.0**-20), rel=1e-6)


def test_without_smooth_a_class_that_is_not_there_costs_one_however_improbable():
    p, t = jnp.full((4, 1), 1e-6), jnp.zeros((4, 1))
    value, gradient = jax.value_and_grad(partial(dice_loss, space=1))(p, t)
    assert value == pytest.approx(1)
    np.testing.assert_allclose(gradient, 0, atol=1e-3)
    value, gradient = jax.value_and_grad(partial(dice_loss, space=1, smooth=1.0))(p, t)
    assert value == pytest.approx(4e-6, rel=1e-4)
    assert (gradient > 0.9).all()


@every_loss
def test_tiny_probabilities_have_a_finite_gradient(loss):
    p, t = jnp.full((4, 2), 1e-30).at[:, 0].set(1.0), jnp.zeros((4, 2)).at[:, 0].set(1.0)
    value, gradient = jax.value_and_grad(partial(loss, space=1))(p, t)
    assert value == pytest.approx(0.5)
    assert jnp.isfinite(gradient).all()
    assert (jnp.abs(p * gradient) < 1).all()


def test_bfloat16_masks_of_many_pixels_are_summed_in_float32():
    p = jnp.ones((70_000, 1), jnp.bfloat16)
    value = dice_loss(p, p.at[0].set(0), space=1)
    assert value.dtype == jnp.float32
    assert value == pytest.approx(1 / 139_999, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"alpha": -0.1}, "alpha must be finite and not negative, got -0.1"),
        ({"beta": np.nan}, "beta must be finite and not negative, got nan"),
        ({"smooth": -1.0}, "smooth must be finite and not negative, got -1.0"),
        ({"alpha": 0.0, "beta": 0.0}, r"alpha \+ beta must be positive, got 0.0"),
        ({"gamma": 0.0}, "gamma must be positive and finite, got 0.0"),
        ({"space": 3}, r"space must lie in \[0, 2\], the axes before the classes, got 3"),
    ],
)
def test_bad_options_are_refused(options, rule):
    p = np.zeros((2, 2, 1), np.float32)
    with pytest.raises(ValueError, match=f"^{rule}$"):
        segmentation.focal_tversky_loss(p, p, **options)


def test_weights_of_another_number_of_classes_are_refused():
    p = np.zeros((2, 2, 3), np.float32)
    with pytest.raises(ValueError, match="argument `class_weights`"):
        dice_loss(p, p, class_weights=np.ones(2, np.float32))
    with pytest.raises(ValueError, match="argument `mask`"):
        dice_loss(p, p, mask=np.ones((2, 2, 1), bool))
