import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from fjdl.losses import classification, reduce, weights
from tests.support import float64

BY_CLASS = np.array([0.2, 1.0, 3.0])
LABELS = np.array([0, 2, 255, 1, 0, 255, 2, 1])


def test_e18_the_rare_class_weighs_more_in_the_inverse_ratio_of_the_numbers():
    major, minor = weights.class_weights(np.float32([90, 10]))
    assert minor / major == pytest.approx(9)
    expected = compute_class_weight("balanced", classes=np.arange(2), y=[0] * 90 + [1] * 10)
    np.testing.assert_allclose([major, minor], expected, rtol=1e-6)


def test_weights_of_all_examples_sum_to_their_number_and_absent_classes_have_none():
    counts = np.array([3, 0, 5, 1])
    by_class = weights.class_weights(counts)
    assert by_class[1] == 0
    assert jnp.sum(counts * by_class) == pytest.approx(9)


def torch_mean(logits, *, smoothing):
    x = torch.tensor(logits, requires_grad=True)
    value = torch.nn.functional.cross_entropy(
        x, torch.tensor(LABELS), weight=torch.tensor(BY_CLASS), ignore_index=255, label_smoothing=smoothing
    )
    value.backward()
    return value.item(), x.grad.numpy()


def unsmoothed(logits):
    values = classification.softmax_cross_entropy(logits, LABELS, ignore_label=255)
    return reduce.mean(values, weights=weights.example_weights(LABELS, BY_CLASS, ignore_label=255))


def smoothed(logits):
    values = classification.softmax_cross_entropy(
        logits, LABELS, smoothing=0.2, class_weights=BY_CLASS, ignore_label=255
    )
    return reduce.mean(values, counts=weights.example_weights(LABELS, BY_CLASS, ignore_label=255))


@pytest.mark.parametrize(("ours", "smoothing"), [(unsmoothed, 0.0), (smoothed, 0.2)])
def test_e19_a_mean_by_the_sum_of_weights_equals_torch_in_value_and_gradient(rng, ours, smoothing):
    logits = rng.standard_normal((8, 3))
    expected = torch_mean(logits, smoothing=smoothing)
    with float64():
        value, gradient = jax.value_and_grad(ours)(logits)
    np.testing.assert_allclose(value, expected[0], rtol=1e-13)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-12, atol=1e-16)


def test_e19_a_mean_by_the_number_of_examples_divides_by_their_number():
    values, labels = np.float32([1, 2, 4]), np.array([0, 1, 255])
    by_example = weights.example_weights(labels, np.float32([3, 1]), ignore_label=255)
    assert reduce.mean(values, weights=by_example) == pytest.approx(5 / 4)
    assert reduce.mean(values, weights=by_example, counts=np.ones(3, np.float32)) == pytest.approx(5 / 2)


def test_weights_are_those_of_the_labels_classes():
    by_class = np.float32([5, 7])
    np.testing.assert_array_equal(weights.example_weights(np.array([1, 0, 1]), by_class), [7, 5, 7])
    np.testing.assert_array_equal(weights.example_weights(np.array([1, 9]), ignore_label=9), [1, 0])
    np.testing.assert_array_equal(weights.example_weights(np.array([[0], [1]]), by_class), [[5], [7]])


def test_a_label_out_of_range_has_weight_nan_so_no_mean_hides_it():
    by_example = weights.example_weights(np.array([0, 255, -1], np.int32), np.float32([1, 1]))
    np.testing.assert_array_equal(by_example, [1, np.nan, np.nan])
    assert np.isnan(reduce.mean(np.ones(3, np.float32), weights=by_example))
