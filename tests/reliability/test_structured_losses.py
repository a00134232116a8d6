from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.losses import boxes, contrastive, ctc, embedding, reduce, segmentation, sequence, triplet

INF, NAN = np.inf, np.nan


@pytest.mark.parametrize("skip_absent", [True, False])
@pytest.mark.parametrize(
    "loss",
    [
        segmentation.dice_loss,
        segmentation.jaccard_loss,
        segmentation.tversky_loss,
        segmentation.focal_tversky_loss,
    ],
    ids=lambda f: f.__name__,
)
def test_r10_dice_of_empty_prediction_and_target_is_0_with_zero_gradient(loss, skip_absent):
    empty = jnp.zeros((2, 3, 2))
    value, gradient = jax.jit(jax.value_and_grad(partial(loss, skip_absent=skip_absent)))(empty, empty)
    assert value == 0
    assert not gradient.any()


def test_r10_an_image_of_which_every_pixel_is_masked_is_left_out():
    p, t = np.full((2, 2, 2, 3), NAN, np.float32), np.zeros((2, 2, 2, 3), np.float32)
    p[0], mask = 1 / 3, np.stack([np.ones((2, 2), bool), np.zeros((2, 2), bool)])

    def total(p):
        values = segmentation.dice_loss(p, t, smooth=0.0, mask=mask)
        return jnp.sum(values), values

    gradient, values = jax.jit(jax.grad(total, has_aux=True))(jnp.asarray(p))
    np.testing.assert_allclose(values, [1, 0], rtol=1e-6)
    assert not gradient[1].any()
    assert reduce.mean(values, mask=mask.any((1, 2))) == pytest.approx(1)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, INF])
def test_r11_the_triplet_loss_at_distance_zero_has_no_nan_gradient(p):
    x = jnp.array([[1.0, 2.0], [3.0, 4.0]])
    far = x + jnp.array([[0.5, 0.0]])
    loss = jax.jit(jax.value_and_grad(lambda *xs: jnp.sum(triplet.triplet_margin_loss(*xs, p=p)), (0, 1, 2)))
    value, gradients = loss(x, x, far)
    assert value == 1
    for gradient, expected in zip(gradients, ([1, 0], [0, 0], [-1, 0]), strict=True):
        np.testing.assert_allclose(gradient, [expected] * 2, atol=1e-6)
    value, gradients = loss(x, x, x)
    assert value == 2
    assert not any(g.any() for g in gradients)


@pytest.mark.parametrize("mine", [triplet.hard_triplets, triplet.semi_hard_triplets])
def test_r11_a_batch_without_any_active_triplet_costs_0_with_zero_gradient(mine):
    labels = jnp.zeros(4, jnp.int32)

    def loss(x):
        t = mine(x, labels)
        return reduce.mean(triplet.triplet_margin_loss(x[t.anchor], x[t.positive], x[t.negative]), mask=t.valid)

    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.ones((4, 3)))
    assert value == 0
    assert not gradient.any()


def test_r11_the_contrastive_loss_at_distance_zero_has_no_nan_gradient():
    x, same = jnp.ones((2, 3)), np.array([True, False])
    gradient = jax.jit(jax.grad(lambda a: jnp.sum(contrastive.contrastive_loss(a, x, same))))(x)
    assert not gradient.any()


def test_r12_an_anchor_without_positive_is_left_out_of_the_mean_with_zero_gradient():
    x, labels = jnp.array([[1.0, 0.2], [0.9, 0.1], [0.3, -1.0]]), np.array([0, 0, 1])

    @jax.jit
    def loss(x):
        values = contrastive.supervised_contrastive_loss(x, labels)
        return reduce.mean(values, mask=contrastive.has_positive(labels)), values

    (value, values), gradient = jax.value_and_grad(loss, has_aux=True)(x)
    assert values[2] == 0
    assert value == pytest.approx(float(values[0] + values[1]) / 2)
    assert jnp.isfinite(gradient).all()


def test_r12_without_any_positive_the_mean_is_0_with_zero_gradient():
    labels = np.array([0, 1, 2])

    def loss(x):
        values = contrastive.supervised_contrastive_loss(x, labels)
        return reduce.mean(values, mask=contrastive.has_positive(labels))

    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.eye(3))
    assert value == 0
    assert not gradient.any()


@pytest.mark.parametrize("loss", ["nt_xent_loss", "supervised_contrastive_loss"])
def test_r12_a_temperature_of_one_thousandth_is_finite(loss):
    x = jnp.asarray(np.random.default_rng(0).standard_normal((6, 4)), jnp.float32)
    other = -x if loss == "nt_xent_loss" else jnp.array([0, 1, 0, 1, 0, 1])
    function = jax.value_and_grad(lambda x: jnp.sum(getattr(contrastive, loss)(x, other, temperature=1e-3)))
    value, gradient = jax.jit(function)(x)
    assert value > 1000
    assert jnp.isfinite(value)
    assert jnp.isfinite(gradient).all()


@jax.jit
def ctc_value_and_gradient(logits, lengths, labels, label_lengths):
    def total(logits):
        values = ctc.ctc_loss(logits, lengths, labels, label_lengths)
        return jnp.sum(values), values

    gradient, values = jax.grad(total, has_aux=True)(logits)
    return values, gradient


def test_r15_an_impossible_alignment_costs_inf_with_zero_gradient_and_a_mask_keeps_it_out():
    logits = np.float32(np.random.default_rng(0).standard_normal((4, 3, 4)))
    labels = np.array([[1, 2, 3], [1, 1, 1], [1, 1, 2], [2, 2, 2]])
    lengths, label_lengths = np.array([3, 3, 3, 0]), np.array([3, 2, 3, 1])  # 3 repeats need 4 steps, 1 label needs 1
    values, gradient = ctc_value_and_gradient(logits, lengths, labels, label_lengths)
    np.testing.assert_array_equal(np.isposinf(values), [False, False, True, True])
    assert gradient[:2].any((1, 2)).all()
    assert not gradient[2:].any()
    assert np.isfinite(reduce.mean(values, mask=np.isfinite(values)))


def test_r15_an_empty_label_costs_blanks_alone_and_padding_alone_costs_nothing():
    logits = np.zeros((4, 3, 4), np.float32)
    lengths, zero = np.array([3, 1, 0, 2]), np.zeros(4, int)
    values, gradient = ctc_value_and_gradient(logits, lengths, np.ones((4, 3), int), zero)
    np.testing.assert_allclose(values, np.log(4) * lengths, rtol=1e-6)
    assert np.isfinite(gradient).all()
    assert not gradient[2].any()


def test_r15_logits_that_forbid_every_alignment_cost_inf_with_zero_gradient():
    logits = np.zeros((4, 3, 4), np.float32)
    logits[0, :, 2], logits[1, 1], logits[2, :, 0] = -INF, -INF, -INF
    full = np.full(4, 3)
    values, gradient = ctc_value_and_gradient(logits, full, np.array([[2, 1, 3]] * 4), np.array([1, 1, 1, 1]))
    np.testing.assert_array_equal(np.isposinf(values), [True, True, False, False])
    assert not gradient[:2].any()
    assert np.isfinite(gradient).all()


COLUMN, ROW, BOX = np.zeros((4, 1), np.float32), np.zeros(4, np.float32), np.zeros((4, 4), np.float32)
REFUSED = [
    (segmentation.dice_loss, (COLUMN, ROW), "targets"),
    (segmentation.tversky_loss, (ROW[None], COLUMN), "targets"),
    (boxes.iou_loss, (BOX[:, None], BOX), "targets"),
    (boxes.box_l2_loss, (COLUMN, ROW), "boxes"),
    (triplet.triplet_margin_loss, (COLUMN, COLUMN, ROW), "negative"),
    (triplet.hard_triplets, (COLUMN, np.zeros((4, 1), int)), "labels"),
    (contrastive.contrastive_loss, (COLUMN, COLUMN, np.zeros((4, 1), bool)), "same"),
    (contrastive.nt_xent_loss, (COLUMN, ROW), "b"),
    (contrastive.supervised_contrastive_loss, (COLUMN, np.zeros((4, 1), int)), "labels"),
    (sequence.sequence_loss, (COLUMN, np.zeros((4, 1), int)), "lengths"),
    (embedding.skipgram_negative_sampling_loss, (COLUMN, ROW, COLUMN[None]), "context"),
    (embedding.cbow_negative_sampling_loss, (COLUMN, np.ones(4, bool), COLUMN, BOX), "center"),
    (embedding.glove_loss, (COLUMN, COLUMN, ROW, COLUMN, ROW), "b_context"),
    (ctc.ctc_loss, (BOX[None], np.array([[4]]), np.array([[1]]), np.array([1])), "logit_lengths"),
]


@pytest.mark.parametrize(("loss", "arrays", "argument"), REFUSED, ids=[case[0].__name__ for case in REFUSED])
def test_r16_a_column_against_a_row_is_refused_with_the_name_of_the_argument(loss, arrays, argument):
    with pytest.raises(ValueError, match=rf"^{loss.__name__}: argument `{argument}` must be .*, got .*$"):
        loss(*arrays)
