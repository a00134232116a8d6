import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.losses import boxes, classification

NAN = np.nan

localization_loss = jax.jit(boxes.localization_loss, static_argnames=("box_weight", "box_cost", "background"))


def test_the_logarithmic_loss_of_disjoint_boxes_is_inf_without_gradient():
    a, b = jnp.array([0.0, 0, 1, 1]), jnp.array([2.0, 2, 3, 3])
    value, gradient = jax.jit(jax.value_and_grad(boxes.log_iou_loss))(a, b)
    assert value == np.inf
    assert not gradient.any()


@pytest.mark.parametrize("loss", [boxes.giou_loss, boxes.ciou_loss])
def test_descent_brings_disjoint_boxes_to_overlap(loss):
    target = jnp.array([5.0, 5, 8, 7])

    @jax.jit
    def descend(box):
        def step(box, _):
            gradient = jax.grad(loss)(box, target)
            return box - 0.2 * gradient / (1e-6 + jnp.linalg.norm(gradient)), None

        return jax.lax.scan(step, box, None, length=300)[0]

    assert boxes.iou_loss(descend(jnp.array([0.0, 0, 1, 2])), target) < 0.4


def test_localization_adds_the_weighted_cost_of_the_box(rng):
    logits, labels = np.float32(rng.standard_normal((3, 4))), np.array([0, 3, 1])
    a, b = (np.float32(rng.uniform(0, 1, (3, 4))) for _ in range(2))
    entropy = jax.jit(classification.softmax_cross_entropy)(logits, labels)
    values = localization_loss(logits, a, labels, b, box_weight=3.0)
    np.testing.assert_allclose(values, entropy + 3 * ((a - b) ** 2).sum(-1), rtol=1e-5)
    values = localization_loss(logits, a, labels, b, box_cost=boxes.giou_loss)
    np.testing.assert_allclose(values, entropy + jax.jit(boxes.giou_loss)(a, b), rtol=1e-5)


def test_the_box_of_the_background_costs_nothing_whatever_its_target():
    logits, a = jnp.zeros((2, 2)), jnp.ones((2, 4))
    labels, targets = np.array([0, 1]), np.float32([[NAN] * 4, [1, 1, 1, 3]])

    def total(a):
        values = boxes.localization_loss(logits, a, labels, targets, background=0)
        return jnp.sum(values), values

    gradient, values = jax.jit(jax.grad(total, has_aux=True))(a)
    np.testing.assert_allclose(values, [np.log(2), np.log(2) + 4], rtol=1e-6)
    np.testing.assert_allclose(gradient, [[0, 0, 0, 0], [0, 0, 0, -4]])


def test_a_label_out_of_range_gives_nan_to_its_example_only():
    box = np.zeros((2, 4), np.float32)
    values = localization_loss(np.zeros((2, 3), np.float32), box, np.array([3, 2]), box)
    np.testing.assert_array_equal(np.isnan(values), [True, False])


def test_a_weight_that_is_negative_or_not_finite_is_refused():
    box = np.zeros(4, np.float32)
    for weight in (-1.0, NAN, np.inf):
        with pytest.raises(ValueError, match=r"^box_weight must be finite and not negative, got"):
            boxes.localization_loss(np.zeros(2, np.float32), box, np.array(0), box, box_weight=weight)


@pytest.mark.parametrize("name", ["iou_loss", "log_iou_loss", "giou_loss", "diou_loss", "ciou_loss", "box_l2_loss"])
def test_no_boxes_have_no_losses(name):
    none = np.zeros((0, 4), np.float32)
    assert jax.eval_shape(getattr(boxes, name), none, none).shape == (0,)
