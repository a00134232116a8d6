import jax
import numpy as np
import pytest

from fjdl.losses import segmentation

dice_loss = jax.jit(segmentation.dice_loss, static_argnames="space")

LOGITS = np.array(
    [
        [-0.13201289, -0.12543763, 0.3443124, -0.45191312, -0.88875884,
         -0.35264996, -1.33727, 0.5223063, -1.1118098, -0.71707344],
        [1.042613, -1.2509731, -0.5106706, -0.38428804, -0.48987415,
         0.5305685, -0.49287134, -0.262532, -0.161018, -0.8371805],
        [-1.2944939, -0.2623208, -0.53525096, 1.3466148, -0.8101526,
         0.57242507, 0.6927679, 0.5124241, -0.9133738, 0.80670744],
        [1.5807986, 0.4663888, 1.3941684, -0.17577708, -0.55947214,
         -0.045378096, -1.033717, -0.7466987, -0.6364248, 0.42346892],
    ],
    np.float32,
)  # fmt: skip
ONE_HOT = np.eye(10, dtype=np.float32)[[2, 3, 0, 1]]


def masks(hits, predicted, wanted, pixels):
    """One class as 0/1 columns of which `hits` pixels are in both."""
    prediction, target = np.zeros((2, pixels), np.float32)
    prediction[:predicted] = 1
    target[predicted - hits : predicted - hits + wanted] = 1
    return prediction, target


def two_classes(*classes):
    columns = [masks(*numbers, pixels=4000) for numbers in classes]
    return tuple(np.stack(column, axis=-1) for column in zip(*columns, strict=True))


def test_w04_hard_dice_of_the_argmax_is_one_and_soft_dice_of_the_probabilities_is_0_948644():
    predictions = LOGITS.argmax(-1)
    np.testing.assert_array_equal(predictions, [7, 0, 3, 0])
    hard = np.eye(10, dtype=np.float32)[predictions]
    assert dice_loss(hard, ONE_HOT, space=1) == 1
    soft = dice_loss(jax.nn.softmax(LOGITS), ONE_HOT, space=1)
    assert soft == pytest.approx(0.948644, abs=5e-7)


def test_w06_w07_w08_dice_of_the_printed_counts_and_the_loss_that_rounding_spoiled():
    background, tumour = (3400, 3500, 3700), (250, 500, 300)
    for numbers, score in ((background, 0.944444), (tumour, 0.625)):
        p, t = masks(*numbers, pixels=4000)
        assert 1 - dice_loss(p[:, None], t[:, None], space=1) == pytest.approx(score, abs=5e-7)
    p, t = two_classes(background, tumour)
    assert dice_loss(p, t, space=1) == pytest.approx(0.215278, abs=5e-7)


def test_e21_with_counts_that_fit_one_picture_the_loss_is_0_20833():
    p, t = two_classes((3450, 3500, 3700), (250, 500, 300))
    scores = [1 - dice_loss(p[:, [c]], t[:, [c]], space=1) for c in (0, 1)]
    np.testing.assert_allclose(scores, [0.9583333, 0.625], rtol=1e-6)
    assert dice_loss(p, t, space=1) == pytest.approx(0.2083333, abs=5e-8)


def test_e20_the_union_belongs_to_jaccard_and_the_sum_of_sizes_to_dice():
    p, t = masks(3400, 3500, 3700, pixels=4000)
    jaccard = 1 - jax.jit(segmentation.jaccard_loss, static_argnames="space")(p[:, None], t[:, None], space=1)
    assert jaccard == pytest.approx(3400 / 3800, rel=1e-6)
    assert 2 * jaccard / (1 + jaccard) == pytest.approx(6800 / 7200, rel=1e-6)


def test_e23_only_soft_probabilities_give_a_gradient_and_absent_classes_do_not_raise_the_loss():
    soft = jax.nn.softmax(LOGITS)
    gradient = jax.grad(lambda p: dice_loss(p, ONE_HOT, space=1))(soft)
    assert (gradient[[0, 1, 2, 3], [2, 3, 0, 1]] < 0).all()
    wider = [np.pad(x, ((0, 0), (0, 5))) for x in (np.asarray(soft), ONE_HOT)]
    value = dice_loss(*wider, space=1)
    assert value == pytest.approx(float(dice_loss(soft, ONE_HOT, space=1)), rel=1e-6)
