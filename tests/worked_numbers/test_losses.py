import numpy as np
import pytest

from fjdl.losses import classification, focal, probabilities
from fjdl.losses.reduce import mean
from tests.support import float64

# The notes print only the softmax of these logits, to four digits.
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
SOFTMAX = np.array(
    [
        [0.1140, 0.1148, 0.1836, 0.0828, 0.0535, 0.0914, 0.0342, 0.2194, 0.0428, 0.0635],
        [0.3024, 0.0305, 0.0640, 0.0726, 0.0653, 0.1812, 0.0651, 0.0820, 0.0907, 0.0462],
        [0.0196, 0.0549, 0.0418, 0.2746, 0.0318, 0.1266, 0.1428, 0.1192, 0.0287, 0.1600],
        [0.3088, 0.1013, 0.2562, 0.0533, 0.0363, 0.0607, 0.0226, 0.0301, 0.0336, 0.0971],
    ]
)
LABELS = np.array([2, 3, 0, 1])


def test_w01_every_label_of_the_notes_costs_minus_log_of_the_printed_softmax():
    rows, labels = np.repeat(LOGITS, 10, axis=0), np.tile(np.arange(10), 4)
    values = classification.softmax_cross_entropy(rows, labels)
    np.testing.assert_allclose(np.exp(-np.asarray(values)).reshape(4, 10), SOFTMAX, atol=5.1e-5)


def test_w02_probabilities_of_the_labels_are_those_of_the_notes():
    probabilities = np.exp(-np.asarray(classification.softmax_cross_entropy(LOGITS, LABELS)))
    np.testing.assert_allclose(probabilities, [0.18359564, 0.07258932, 0.01957288, 0.10130645], rtol=1e-6)


def test_w03_e17_mean_cross_entropy_is_2_635_and_not_the_0_379_of_the_notes():
    assert mean(classification.softmax_cross_entropy(LOGITS, LABELS)) == pytest.approx(2.6352931, rel=1e-6)
    printed = mean(probabilities.sparse_categorical_cross_entropy(SOFTMAX.astype(np.float32), LABELS))
    assert printed == pytest.approx(2.6349202, rel=1e-6)


def test_w05_focal_loss_of_the_same_logits():
    alpha = np.full(10, 0.25, np.float32)
    assert mean(focal.softmax_focal_loss(LOGITS, LABELS, gamma=2.0, alpha=alpha)) == pytest.approx(0.5635034, rel=1e-6)
    assert mean(focal.softmax_focal_loss(LOGITS, LABELS, gamma=2.0)) == pytest.approx(2.2540136, rel=1e-6)
    assert mean(focal.softmax_focal_loss(LOGITS, LABELS, gamma=0.0)) == pytest.approx(2.6352931, rel=1e-6)


def focal_and_cross_entropy(p: float) -> tuple[float, float]:
    """Of a positive target that is predicted with probability `p`."""
    with float64():
        logits, targets = np.array([np.log(p / (1 - p))]), np.ones(1)
        pair = focal.sigmoid_focal_loss(logits, targets), classification.sigmoid_cross_entropy(logits, targets)
    return float(pair[0][0]), float(pair[1][0])


def test_w09_an_easy_example_counts_a_hundredth_in_natural_logarithms():
    modulated, plain = focal_and_cross_entropy(0.9)
    assert (modulated, plain) == pytest.approx((0.00105361, 0.10536052), rel=5e-6)
    assert plain / modulated == pytest.approx(100, rel=1e-12)


def test_w10_a_hard_example_counts_little_less():
    modulated, plain = focal_and_cross_entropy(0.4)
    assert (modulated, plain) == pytest.approx((0.32986466, 0.91629073), rel=1e-7)
    assert plain / modulated == pytest.approx(1 / 0.36, rel=1e-12)


@pytest.mark.parametrize(
    ("p", "nats"),
    [([0.9, 0, 0, 0.1], 0.10536051565782628), ([0.1, 0.8, 0.1, 0], 2.3025850929940455)],
    ids=["w11", "w12"],
)
def test_w11_w12_only_predictions_are_clipped_so_the_value_is_exact(p, nats):
    target, p = np.array([[1.0, 0, 0, 0]]), np.array([p])
    with float64(), np.errstate(divide="ignore"):
        value = probabilities.categorical_cross_entropy(p, target)
        on_logits = classification.soft_cross_entropy(np.log(p), target)
    np.testing.assert_allclose(value, [nats], rtol=1e-15)
    np.testing.assert_allclose(on_logits, [nats], rtol=1e-15)
