"""Failures of other libraries that must not occur here: scores of classes and probabilities."""

import math
import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings, strategies as st
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from fjdl.metrics import base
from fjdl.metrics.classification import (
    agreement,
    averaged_scores,
    confusion_table,
    label_scores,
    multilabel,
    probabilities,
    rates,
    streaming as classification,
)
from fjdl.metrics.state import amounts, counts, sums
from fjdl.metrics.state.counts import Count
from fjdl.metrics.uncertainty import calibration

NAN = np.nan
CONFUSION, INDICATORS = classification.confusion_matrix(3), multilabel.multilabel_confusion(3)
LIKELIHOOD, CALIBRATION = probabilities.negative_log_likelihood(), calibration.calibration(5)
ACCURACY = classification.accuracy()

# One compilation for batches of any size: they are padded to ten and weighted.
UPDATE = {metric: jax.jit(metric.update) for metric in (ACCURACY, CONFUSION, INDICATORS, LIKELIHOOD, CALIBRATION)}
SCORES = jax.jit(lambda matrix: (agreement.matthews_correlation(matrix), rates.macro(rates.f1, matrix)))
N = 10


def updated(metric, state, *arrays):
    pad = [np.concatenate([x, np.zeros((N - len(x), *x.shape[1:]), x.dtype)]) for x in arrays]
    return UPDATE[metric](state, *pad, weights=(np.arange(N) < len(arrays[0])).astype(np.float32))


def merged(metric, sizes, *arrays):
    """The state of consecutive batches of these sizes, merged in pairs from the last to the first."""
    state, start = metric.init(), 0
    for size in sizes:
        part = updated(metric, metric.init(), *[x[start : start + size] for x in arrays])
        state, start = metric.merge(part, state), start + size
    return state


def data(seed, n):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    p = rng.dirichlet(np.ones(3), n).astype(np.float32)
    return labels, p, rng.integers(0, 3, n), rng.integers(0, 2, (n, 3)), rng.integers(0, 2, (n, 3))


def test_r49_one_class_only_has_a_log_loss_and_no_warning():
    y, p = np.zeros(3, int), np.float32([[0.5, 0.5], [1, 0], [0.25, 0.75]])
    assert probabilities.log_loss(y, p) == pytest.approx(sk.log_loss(y, p, labels=[0, 1]), rel=1e-6)
    assert probabilities.brier_score_loss(y, p) == pytest.approx(sk.brier_score_loss(y, p, labels=[0, 1]), rel=1e-6)
    assert label_scores.top_k_accuracy_score(y, p, k=1) == pytest.approx(2 / 3)
    assert label_scores.balanced_accuracy_score(y, y) == 1


def test_r50_ties_go_to_the_lower_class_and_nan_is_never_correct():
    tied = np.zeros((4, 4), np.float32)
    for k in range(1, 5):
        assert label_scores.top_k_accuracy_score(np.arange(4), tied, k=k) == k / 4
    with_nan = np.float32([[NAN, 1, 0], [0, 1, NAN], [0, 1, 2]])
    assert label_scores.top_k_accuracy_score(np.array([0, 1, 2]), with_nan, k=3) == pytest.approx(1 / 3)
    assert math.isnan(probabilities.log_loss(np.array([1]), np.float32([[NAN, 0.5]])))


@pytest.mark.parametrize("zero_division", [0.0, 1.0, NAN])
def test_r51_absent_classes_follow_labels_and_zero_division(zero_division):
    y_true, y_pred = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1])
    for labels in (None, (0, 1), (0, 1, 2), (2,)):
        options = {"labels": labels, "average": "macro", "zero_division": zero_division}
        expected = sk.f1_score(y_true, y_pred, **options)
        np.testing.assert_allclose(averaged_scores.f1_score(y_true, y_pred, **options), expected, rtol=1e-6)
    assert averaged_scores.f1_score(y_true, y_pred, labels=(0, 1, 2), average="macro") == pytest.approx(2 / 3)


@pytest.mark.parametrize("wrong", [-1, 3, 255])
@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.int8])
def test_r53_labels_out_of_range_are_counted_nowhere(wrong, dtype):
    y_true, y_pred = np.array([0, wrong, 2, wrong]).astype(dtype), np.array([0, 1, wrong, wrong]).astype(dtype)
    np.testing.assert_array_equal(confusion_table.confusion_table(y_true, y_pred, labels=range(3)), np.diag([1, 0, 0]))
    weighted = confusion_table.confusion_table(y_true, y_pred, labels=range(3), sample_weight=np.float32([2, 3, 4, 5]))
    np.testing.assert_array_equal(weighted, np.diag([2, 0, 0]))
    np.testing.assert_array_equal(base.measure(CONFUSION, y_pred, y_true), np.diag([1, 0, 0]))


@pytest.mark.by_day_on_pin(1)
def test_r54_constant_labels_have_correlation_0_and_no_kappa():
    constant, other = np.zeros(4, int), np.array([0, 1, 0, 1])
    for y_true, y_pred in ((constant, constant), (constant, other), (other, constant)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kappa, correlation = sk.cohen_kappa_score(y_true, y_pred), sk.matthews_corrcoef(y_true, y_pred)
        np.testing.assert_allclose(label_scores.cohen_kappa_score(y_true, y_pred), kappa)
        assert label_scores.matthews_corrcoef(y_true, y_pred) == correlation == 0
    assert math.isnan(label_scores.cohen_kappa_score(constant, constant))
    assert jnp.isfinite(jax.grad(agreement.matthews_correlation)(jnp.array([[4.0, 0], [0, 0]]))).all()


def test_r55_a_smaller_last_batch_weighs_less():
    logits, labels = np.eye(3, dtype=np.float32)[[0, 0, 0, 1]], np.array([0, 0, 0, 0])
    state = merged(ACCURACY, [3, 1], logits, labels)
    assert ACCURACY.compute(state) == 0.75
    p = np.float32([[0.5, 0.5, 0]] * 3 + [[0.25, 0.75, 0]])
    expected = np.mean([np.log(2)] * 3 + [np.log(4)])
    assert LIKELIHOOD.compute(merged(LIKELIHOOD, [3, 1], p, labels)) == pytest.approx(expected, rel=1e-6)


def test_r55_empty_batches_and_devices_change_nothing():
    logits, labels = np.eye(3, dtype=np.float32), np.array([0, 1, 1])
    state = ACCURACY.merge(ACCURACY.init(), merged(ACCURACY, [0, 2, 0, 1], logits, labels))
    assert ACCURACY.compute(state) == pytest.approx(2 / 3)
    assert math.isnan(ACCURACY.compute(ACCURACY.init()))


@pytest.mark.parametrize("devices", [1, 3, 8])
def test_r55_every_example_counts_once_on_any_number_of_devices(devices):
    labels, _, predictions, _, _ = data(0, 21)
    padded, weights = [np.concatenate([x, np.zeros(3, int)]) for x in (predictions, labels)], np.arange(24) < 21
    mesh = jax.make_mesh((devices,), ("data",), devices=jax.devices()[:devices], axis_types=(AxisType.Auto,))
    spread = jax.device_put((*padded, weights), NamedSharding(mesh, PartitionSpec("data")))
    state = jax.jit(lambda *arrays: CONFUSION.update(CONFUSION.init(), *arrays[:2], weights=arrays[2]))(*spread)
    np.testing.assert_array_equal(CONFUSION.compute(state), sk.confusion_matrix(labels, predictions))


def test_r56_confidences_0_and_1_fall_into_bins_and_logits_give_nan():
    diagram = CALIBRATION.compute(merged(CALIBRATION, [2], np.float32([0, 1]), np.array([False, True])))
    np.testing.assert_array_equal(diagram.seen, [1, 0, 0, 0, 1])
    assert calibration.expected_calibration_error(diagram) == 0
    logits = CALIBRATION.compute(merged(CALIBRATION, [2], np.float32([3.5, 0.5]), np.array([True, True])))
    assert math.isnan(calibration.expected_calibration_error(logits))
    assert math.isnan(calibration.maximum_calibration_error(logits))


def test_r56_half_precision_probabilities_are_binned_in_float32():
    p = jnp.full(1000, 0.3, jnp.bfloat16)
    diagram = jax.jit(partial(base.measure, CALIBRATION))(p, jnp.zeros(1000, bool))
    assert diagram.confidence.dtype == jnp.float32
    np.testing.assert_allclose(diagram.confidence[1], float(p[0]), rtol=1e-6)


@pytest.mark.parametrize("start", [2**24, 2**31 - 1, 2**32 - 2])
def test_r57_counts_go_on_where_floats_stick_and_integers_wrap(start):
    count = Count(jnp.zeros((3, 3), jnp.uint32), jnp.full((3, 3), start, jnp.uint32))
    state = CONFUSION.update(CONFUSION.init()._replace(counted=count), np.zeros(3, int), np.zeros(3, int))
    assert (int(state.counted.high[0, 0]) << 32) + int(state.counted.low[0, 0]) == start + 3


def test_r57_accuracy_of_more_examples_than_float32_counts():
    hits = jnp.zeros(2**24 + 4, bool).at[:3].set(True)
    assert sums.average(hits) == np.float32(3 / (2**24 + 4))
    state = counts.add(Count(jnp.uint32(0), jnp.uint32(2**24)), counts.of(jnp.uint32(3)))
    assert int(state.low) == 2**24 + 3


@pytest.mark.by_day_on_pin(1)
@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(1, N), min_size=1, max_size=3))
def test_s47_streamed_scores_equal_scikit_learn(seed, sizes):
    labels, _, predictions, _, _ = data(seed, sum(sizes))
    matrix = CONFUSION.compute(merged(CONFUSION, sizes, predictions, labels))
    np.testing.assert_array_equal(matrix, sk.confusion_matrix(labels, predictions, labels=range(3)))
    correlation, macro_f1 = SCORES(matrix)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a single class
        expected = sk.matthews_corrcoef(labels, predictions)
    np.testing.assert_allclose(correlation, expected, rtol=1e-5, atol=1e-6)
    expected = sk.f1_score(labels, predictions, labels=range(3), average="macro", zero_division=0)
    np.testing.assert_allclose(macro_f1, expected, rtol=1e-6)


@pytest.mark.by_day_on_pin(1)
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(0, N), min_size=1, max_size=4))
def test_s48_merged_counts_are_those_of_one_batch_bit_for_bit(seed, sizes):
    n = sum(sizes)
    labels, p, predictions, y_true, y_pred = data(seed, n)
    whole = [N] * (n // N) + [n % N]
    for metric, arrays in (
        (CONFUSION, (predictions, labels)),
        (INDICATORS, (y_pred, y_true)),
        (ACCURACY, (p, labels)),
    ):
        jax.tree.map(np.testing.assert_array_equal, merged(metric, sizes, *arrays), merged(metric, whole, *arrays))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(1, N), min_size=2, max_size=4))
def test_s48_merged_sums_are_those_of_one_batch_to_seven_digits(seed, sizes):
    labels, p, _, _, _ = data(seed, sum(sizes))
    value = LIKELIHOOD.compute(merged(LIKELIHOOD, sizes, p, labels))
    assert value == pytest.approx(-np.log(p[np.arange(len(p)), labels].astype(float)).mean(), rel=1e-6)
    confidences, correct = p.max(1), p.argmax(1) == labels
    state = merged(CALIBRATION, sizes, confidences, correct)
    assert amounts.to_float(state.seen).sum() == sum(sizes)


def test_s49_more_counts_than_float32_holds_are_exact():
    pixels = 2**24 + 3
    zeros = jnp.zeros(pixels, jnp.uint8)
    state = CONFUSION.update(CONFUSION.init(), zeros, zeros)
    assert int(state.counted.low[0, 0]) == pixels
    np.testing.assert_array_equal(np.delete(np.asarray(state.counted.low).ravel(), 0), np.zeros(8))


@pytest.mark.by_day_on_pin(1)
def test_s49_ten_million_log_losses_keep_seven_digits():
    def total():
        p = jnp.full(10_000_000, 0.9)
        return probabilities.log_loss(jnp.ones(10_000_000, bool), p)

    assert jax.jit(total)() == pytest.approx(-math.log(float(np.float32(0.9))), rel=2e-7)


def test_any_score_of_a_matrix_streams():
    labels, _, predictions, _, _ = data(3, 20)
    metric = base.then(CONFUSION, partial(rates.macro, rates.f1))
    state = merged(CONFUSION, [10, 10], predictions, labels)
    assert metric.compute(state) == pytest.approx(sk.f1_score(labels, predictions, average="macro"), rel=1e-6)
