import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings, strategies as st

from fjdl import metrics
from fjdl.metrics.state.counts import Count

NAN = np.nan


def random_examples(seed: int, n: int, k: int):
    rng = np.random.default_rng(seed)
    logits, labels = rng.standard_normal((n, k)).astype(np.float32), rng.integers(0, k, n)
    return logits, labels, rng.integers(0, 2, n).astype(np.float32)


def test_accuracy_equals_scikit_learn(rng):
    logits, labels = rng.standard_normal((100, 4)).astype(np.float32), rng.integers(0, 4, 100)
    expected = sklearn.metrics.accuracy_score(labels, logits.argmax(-1))
    assert metrics.measure(metrics.accuracy(), logits, labels) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_top_k_accuracy_equals_scikit_learn(rng, k):
    logits, labels = rng.standard_normal((100, 5)).astype(np.float32), rng.integers(0, 5, 100)
    expected = sklearn.metrics.top_k_accuracy_score(labels, logits, k=k, labels=range(5))
    assert metrics.measure(metrics.top_k_accuracy(k), logits, labels) == pytest.approx(expected, rel=1e-6)


def test_the_lower_class_comes_first_among_equal_logits():
    logits, labels = np.zeros((4, 4), np.float32), np.arange(4)
    for k in range(1, 6):
        assert metrics.measure(metrics.top_k_accuracy(k), logits, labels) == min(k, 4) / 4


@pytest.mark.parametrize("metric", [metrics.accuracy(), metrics.top_k_accuracy(9)])
@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.int8])
@pytest.mark.parametrize("label", [-1, 3, 255])
def test_a_label_out_of_range_counts_and_is_never_correct(metric, dtype, label):
    logits = np.float32([[1, 2, 9], [9, 2, 1], [1, 2, 9]])
    labels = np.array([2, label, label]).astype(dtype)
    assert metrics.measure(metric, logits, labels) == pytest.approx(1 / 3)


@pytest.mark.parametrize("metric", [metrics.accuracy(), metrics.top_k_accuracy(9)])
def test_a_prediction_with_a_nan_logit_counts_and_is_never_correct(metric):
    logits = np.float32([[NAN, 2, 9], [NAN, 2, 9], [1, 2, 9], [NAN, NAN, NAN]])
    assert metrics.measure(metric, logits, np.array([0, 2, 2, -1])) == 0.25


def test_infinite_logits_are_compared_like_others():
    logits = np.float32([[-np.inf, 0], [np.inf, 0], [-np.inf, -np.inf]])
    assert metrics.measure(metrics.accuracy(), logits, np.array([1, 0, 0])) == 1


def test_accuracy_of_pixels_takes_weights_per_image():
    logits = np.float32([[[9, 0], [9, 0]], [[0, 9], [9, 0]]])
    labels = np.array([[1, 1], [1, 1]])
    assert metrics.measure(metrics.accuracy(), logits, labels, weights=np.float32([0, 1])) == 0.5


@pytest.mark.parametrize("metric", [metrics.accuracy(), metrics.top_k_accuracy(2)])
def test_accuracy_of_nothing_is_nan(metric):
    assert math.isnan(metric.compute(metric.init()))
    assert math.isnan(metrics.measure(metric, np.zeros((0, 3), np.float32), np.zeros(0, int)))
    assert math.isnan(metrics.measure(metric, np.zeros((2, 3), np.float32), np.zeros(2, int), weights=np.zeros(2)))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([1, 12]), st.sampled_from([1, 5]), st.integers(1, 3))
def test_merged_accuracies_equal_one_shot_bit_for_bit(seed, n, k, parts):
    logits, labels, weights = random_examples(seed, n, k)
    metric = metrics.accuracy()
    state = metric.init()
    for part in np.array_split(np.random.default_rng(seed).permutation(n), parts):
        state = metric.merge(state, metric.update(metric.init(), logits[part], labels[part], weights=weights[part]))
    whole = metric.update(metric.init(), logits, labels, weights=weights)
    jax.tree.map(np.testing.assert_array_equal, state, whole)
    selected = weights > 0
    if selected.any():
        expected = sklearn.metrics.accuracy_score(labels[selected], logits[selected].argmax(-1))
        assert metric.compute(state) == pytest.approx(expected, rel=1e-6)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([1, 12]), st.sampled_from([2, 5]), st.integers(1, 3))
def test_merged_confusion_matrices_equal_scikit_learn(seed, n, k, parts):
    logits, labels, weights = random_examples(seed, n, k)
    metric, predictions, weights[0] = metrics.confusion_matrix(k), logits.argmax(-1), 1
    state = metric.init()
    for part in np.array_split(np.random.default_rng(seed).permutation(n), parts):
        state = metric.merge(
            state, metric.update(metric.init(), predictions[part], labels[part], weights=weights[part])
        )
    expected = sklearn.metrics.confusion_matrix(labels, predictions, labels=range(k), sample_weight=weights)
    np.testing.assert_array_equal(metric.compute(state), expected)


def test_states_of_a_batch_on_eight_devices_equal_those_on_one(rng):
    logits, labels = rng.standard_normal((64, 5)).astype(np.float32), rng.integers(0, 5, 64).astype(np.int32)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    for metric, first in [(metrics.accuracy(), logits), (metrics.confusion_matrix(5), logits.argmax(-1))]:
        spread = jax.jit(metric.update)(metric.init(), *jax.device_put((first, labels), sharding))
        jax.tree.map(np.testing.assert_array_equal, spread, metric.update(metric.init(), first, labels))


def test_rows_of_a_confusion_matrix_are_labels():
    matrix = metrics.measure(metrics.confusion_matrix(3), np.array([2, 2, 1]), np.array([0, 0, 1]))
    np.testing.assert_array_equal(matrix, [[0, 0, 2], [0, 1, 0], [0, 0, 0]])


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.int8])
@pytest.mark.parametrize("wrong", [-1, 3, 255])
def test_a_confusion_matrix_leaves_out_pairs_out_of_range(dtype, wrong):
    predictions, labels = np.array([0, wrong, 2, wrong]).astype(dtype), np.array([0, 1, wrong, wrong]).astype(dtype)
    matrix = metrics.measure(metrics.confusion_matrix(3), predictions, labels)
    np.testing.assert_array_equal(matrix, np.diag([1, 0, 0]))


def test_more_classes_than_uint8_holds_are_counted_apart():
    with jax.numpy_dtype_promotion("strict"):
        matrix = metrics.measure(metrics.confusion_matrix(300), jnp.array([255], jnp.uint8), jnp.array([299]))
    assert (matrix[299, 255], matrix.sum()) == (1, 1)


def test_a_confusion_matrix_of_nothing_is_zero():
    metric = metrics.confusion_matrix(2)
    np.testing.assert_array_equal(metric.compute(metric.init()), np.zeros((2, 2)))
    np.testing.assert_array_equal(metrics.measure(metric, np.zeros(0, int), np.zeros(0, int)), np.zeros((2, 2)))
    np.testing.assert_array_equal(
        metrics.measure(metric, np.zeros(1, int), np.zeros(1, int), weights=np.zeros(1)), np.zeros((2, 2))
    )


@pytest.mark.parametrize("start", [2**24 - 1, 2**31 - 1, 2**32 - 1])
def test_states_count_on_where_float32_sticks_and_integers_wrap(start):
    metric = metrics.confusion_matrix(1)
    count = Count(jnp.zeros((1, 1), jnp.uint32), jnp.full((1, 1), start, jnp.uint32))
    state = metric.init()._replace(counted=count)
    state = metric.update(state, np.zeros(4, int), np.zeros(4, int))
    assert (int(state.counted.high[0, 0]) << 32) + int(state.counted.low[0, 0]) == start + 4
    assert metric.compute(state)[0, 0] == np.float32(start + 4)


def test_the_confusion_matrix_of_more_pixels_than_float32_counts_is_exact():
    metric, pixels = metrics.confusion_matrix(2), 2**24 + 3
    zeros = jnp.zeros(pixels, jnp.uint8)
    state = metric.update(metric.init(), zeros, zeros)
    np.testing.assert_array_equal(state.counted.low, [[pixels, 0], [0, 0]])


def test_predicted_class_is_the_first_largest_and_no_class_with_nan():
    logits = np.float32([[1, 3, 3], [NAN, 5, 1], [-np.inf, -np.inf, -np.inf]])
    np.testing.assert_array_equal(metrics.predicted_class(logits), [1, -1, 0])


def test_nan_predictions_are_left_out_of_the_confusion_matrix():
    predictions = metrics.predicted_class(np.float32([[NAN, 1], [0, 1]]))
    matrix = metrics.measure(metrics.confusion_matrix(2), predictions, np.array([1, 1]))
    np.testing.assert_array_equal(matrix, [[0, 0], [0, 1]])


@pytest.mark.parametrize(("function", "name"), [(metrics.top_k_accuracy, "k"), (metrics.confusion_matrix, "classes")])
def test_fewer_than_one_is_refused(function, name):
    with pytest.raises(ValueError, match=rf"^{name} must be at least 1, got 0$"):
        function(0)


def test_labels_in_a_column_are_refused():
    with pytest.raises(ValueError, match=r"argument `labels` must be .*batch=\(3,\), got "):
        metrics.measure(metrics.accuracy(), np.zeros((3, 2), np.float32), np.zeros((3, 1), int))
