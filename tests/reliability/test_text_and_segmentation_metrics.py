"""Faults that metrics of regression, segmentation and text have had elsewhere, and what must hold instead."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sacrebleu
import scipy.stats
import sklearn.metrics

from fjdl.metrics.base import measure, then
from fjdl.metrics.image.signal_noise import peak_signal_noise_ratio
from fjdl.metrics.regression import (
    correlation,
    scores as regression,
    streaming,
)
from fjdl.metrics.segmentation.overlap import iou, mean_iou, segmentation_matrix
from fjdl.metrics.state import amounts, counts
from fjdl.metrics.text.bleu_scores import corpus_bleu, sentence_bleu
from fjdl.metrics.text.surprisal import perplexity

CONSTANT = np.full(3, 0.1, np.float32)


def test_r52_an_absent_class_is_left_out_of_mean_iou_and_a_predicted_one_is_not():
    labels, absent, predicted = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]), np.array([0, 0, 1, 2])
    metric = then(segmentation_matrix(3), mean_iou)
    assert measure(metric, absent, labels) == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert measure(metric, predicted, labels) == pytest.approx((1 + 1 / 2 + 0) / 3)


def test_r52_batches_are_counted_and_divided_once():
    metric, rng = then(segmentation_matrix(3), mean_iou), np.random.default_rng(0)
    labels, predictions = rng.integers(0, 3, (2, 4, 6))
    state, _ = jax.lax.scan(lambda s, pair: (metric.update(s, *pair), None), metric.init(), (predictions, labels))
    expected = sklearn.metrics.jaccard_score(labels.ravel(), predictions.ravel(), average="macro")
    assert metric.compute(state) == pytest.approx(expected)


@pytest.mark.parametrize("ignored", [-1, 0, 2, 3, 255])
def test_r52_an_ignored_label_anywhere_never_counts_and_shifts_no_class(ignored):
    labels, predictions = np.array([0, 1, 2, ignored, ignored]), np.array([0, 1, 1, 0, 1])
    matrix = measure(segmentation_matrix(3, ignore_label=ignored), predictions, labels)
    kept = labels != ignored
    expected = sklearn.metrics.confusion_matrix(labels[kept], predictions[kept], labels=range(3))
    np.testing.assert_array_equal(matrix, expected)


def test_r52_nothing_over_nothing_is_nan_and_no_error():
    np.testing.assert_array_equal(iou(np.zeros((2, 2))), [np.nan, np.nan])
    assert np.isnan(mean_iou(np.zeros((2, 2))))


@pytest.mark.parametrize("score", [regression.r2_score, regression.explained_variance_score])
def test_r54_a_constant_target_scores_one_or_zero_as_in_scikit_learn(score):
    theirs = getattr(sklearn.metrics, score.__name__)
    wrong = CONSTANT + np.float32([0, 0, 1])
    assert score(CONSTANT, CONSTANT) == theirs(CONSTANT, CONSTANT) == 1
    assert score(CONSTANT, wrong) == theirs(np.zeros(3), [0, 0, 1]) == 0
    stream = correlation.r2() if score is regression.r2_score else correlation.explained_variance()
    state = stream.update(stream.init(), CONSTANT, CONSTANT)
    assert stream.compute(stream.merge(state, state)) == 1
    assert stream.compute(stream.update(state, wrong, CONSTANT)) == 0


def test_r54_correlation_with_a_constant_is_nan_as_in_scipy():
    varied = np.float32([1, 2, 3])
    with pytest.warns(scipy.stats.ConstantInputWarning):
        assert np.isnan(scipy.stats.pearsonr(varied, CONSTANT)[0])
    assert np.isnan(regression.pearson_correlation(varied, CONSTANT))
    assert np.isnan(measure(correlation.pearson(), CONSTANT, varied))


def test_r55_a_smaller_last_batch_weighs_no_more_than_its_examples():
    targets, predictions = np.random.default_rng(0).standard_normal((2, 10)).astype(np.float32)
    metric = streaming.rmse()
    state = metric.init()
    for part in (slice(0, 4), slice(4, 8), slice(8, 10)):
        state = metric.update(state, predictions[part], targets[part])
    assert metric.compute(state) == pytest.approx(
        sklearn.metrics.root_mean_squared_error(targets, predictions), rel=1e-6
    )


@pytest.mark.by_day_on_pin(1)
def test_r55_devices_with_partly_and_fully_padded_batches_count_every_example_once():
    logits = np.random.default_rng(0).standard_normal((8, 2, 5)).astype(np.float32)
    labels, seen = np.arange(16).reshape(8, 2) % 5, np.arange(16).reshape(8, 2) < 11
    metric = perplexity()
    update = jax.vmap(lambda x, y, w: metric.update(metric.init(), x, y, weights=w))
    states = update(logits, labels, seen.astype(np.float32))
    total = metric.init()
    for device in range(8):
        total = metric.merge(total, jax.tree.map(lambda leaf, i=device: leaf[i], states))
    assert amounts.to_float(total.seen) == 11
    alone = measure(metric, logits.reshape(-1, 5)[:11], labels.reshape(-1)[:11])
    assert metric.compute(total) == pytest.approx(float(alone), rel=1e-6)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_r56_perplexity_of_half_precision_neither_overflows_nor_sticks(dtype):
    value = jax.jit(lambda x, y: measure(perplexity(), x, y))(jnp.zeros((3, 70_000), dtype), np.array([0, 1, 69_999]))
    assert value.dtype == jnp.float32
    assert value == pytest.approx(70_000, rel=1e-5)


def test_r56_psnr_of_integer_images_subtracts_without_wrapping():
    dark, bright = np.full((1, 2, 2, 1), 1, np.uint8), np.full((1, 2, 2, 1), 3, np.uint8)
    expected = 10 * np.log10(255**2 / 4)
    for pair in ((dark, bright), (bright, dark)):
        np.testing.assert_allclose(peak_signal_noise_ratio(*pair, data_range=255), [expected], rtol=1e-6)


@pytest.mark.parametrize("method", ["exp", "floor", "add-k", "none"])
@pytest.mark.parametrize(
    ("hypothesis", "reference"), [("", "a b"), ("a b", ""), ("", ""), ("a b", "c d"), ("a", "a b")]
)
def test_r58_empty_and_unmatched_sentences_score_as_in_sacrebleu(method, hypothesis, reference):
    expected = sacrebleu.corpus_bleu([hypothesis], [[reference]], smooth_method=method)
    actual = corpus_bleu([hypothesis], [[reference]], smooth_method=method)
    assert actual.score == pytest.approx(expected.score, rel=1e-12)
    assert actual.brevity_penalty == pytest.approx(expected.bp, rel=1e-12)
    expected = sacrebleu.sentence_bleu(hypothesis, [reference], smooth_method=method).score
    assert sentence_bleu(hypothesis, [reference], smooth_method=method).score == pytest.approx(expected, rel=1e-12)


def test_r58_the_settings_are_recorded():
    options = {"lowercase": True, "smooth_method": "floor", "effective_order": True}
    assert corpus_bleu(["A"], [["a"]], **options).signature == "nrefs:1|case:lc|eff:yes|tok:13a|smooth:floor[0.10]"
    assert corpus_bleu(["A."], [["a ."]], **options).score == pytest.approx(100)


def test_row_49_pixels_past_two_to_the_24_and_31_are_counted_one_by_one():
    metric = segmentation_matrix(1)
    for start in (2**24, 2**31, 2**32 - 1):
        state = metric.init()._replace(counted=counts.of(jnp.full((1, 1), start, jnp.uint32)))
        state = metric.update(state, np.zeros(3, int), np.zeros(3, int))
        assert (int(state.counted.high[0, 0]) << 32) + int(state.counted.low[0, 0]) == start + 3
