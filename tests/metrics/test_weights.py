"""Weights weigh in every metric over batches: an example of weight w counts as w examples do."""

import inspect
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics as sk

from fjdl import metrics
from fjdl.metrics import Metric, measure
from tests.support import own_names

RNG = np.random.default_rng(0)
N, K = 6, 3
LOGITS = RNG.standard_normal((N, K)).astype(np.float32)
PROBABILITIES = np.asarray(jax.nn.softmax(LOGITS))
LABELS, PREDICTED = RNG.integers(0, K, (2, N)).astype(np.int32)
INDICATORS = RNG.integers(0, 2, (2, N, K)).astype(np.int32)
TARGETS, VALUES = RNG.standard_normal((2, N)).astype(np.float32)
YES, SHARES = np.int32([0, 1, 1, 0, 1, 0]), RNG.random(N).astype(np.float32)
IMAGES = RNG.integers(0, K, (2, N, 4, 4)).astype(np.int32)
TOKENS = RNG.integers(0, 4, (2, N, 5)).astype(np.int32)
WORDS, OTHERS = [[" ".join(map(str, row)) for row in half] for half in TOKENS]
TIMES = np.array([1, 0, 3, 2, 1, 2])

WEIGHING = {
    "accuracy": (metrics.accuracy(), (LOGITS, LABELS)),
    "bleu": (metrics.bleu(smooth_method="add-k"), (WORDS, [OTHERS])),
    "brier_score": (metrics.brier_score(), (PROBABILITIES, LABELS)),
    "calibration": (metrics.calibration(3), (SHARES, YES)),
    "character_error_rate": (metrics.character_error_rate(), (WORDS, OTHERS)),
    "class_boundary_f_score": (metrics.class_boundary_f_score(K, tolerance=1.0), tuple(IMAGES)),
    "class_boundary_iou": (metrics.class_boundary_iou(K, width=1), tuple(IMAGES)),
    "collected": (
        metrics.collected(metrics.roc_auc_score, capacity=12, weighted=True),
        (SHARES, YES),
    ),
    "confusion_matrix": (metrics.confusion_matrix(K), (PREDICTED, LABELS)),
    "coverage": (metrics.coverage(), (LOGITS, INDICATORS[0])),
    "explained_variance": (metrics.explained_variance(), (VALUES, TARGETS)),
    "label_ranking_average_precision": (metrics.label_ranking_average_precision(), (LOGITS, INDICATORS[0])),
    "label_ranking_error": (metrics.label_ranking_error(), (LOGITS, INDICATORS[0])),
    "mae": (metrics.mae(), (VALUES, TARGETS)),
    "mape": (metrics.mape(), (VALUES, TARGETS)),
    "mean": (metrics.mean(), (VALUES,)),
    "mean_and_covariance": (metrics.mean_and_covariance(2), (LOGITS[:, :2],)),
    "mse": (metrics.mse(), (VALUES, TARGETS)),
    "msle": (metrics.msle(), (SHARES, SHARES[::-1].copy())),
    "multilabel_confusion": (metrics.multilabel_confusion(K), tuple(INDICATORS)),
    "ndcg": (metrics.ndcg(), (LOGITS, INDICATORS[0])),
    "neighbour_retrieval": (metrics.neighbour_retrieval(ks=(1, 2)), (INDICATORS[0], YES, TIMES % 4)),
    "negative_log_likelihood": (metrics.negative_log_likelihood(), (PROBABILITIES, LABELS)),
    "panoptic_quality": (metrics.panoptic_quality(K), (*IMAGES, *IMAGES)),
    "pearson": (metrics.pearson(), (VALUES, TARGETS)),
    "perplexity": (metrics.perplexity(), (LOGITS, LABELS)),
    "pinball_loss": (metrics.pinball_loss(0.2), (VALUES, TARGETS)),
    "psnr": (metrics.psnr(1.0), (VALUES, TARGETS)),
    "r2": (metrics.r2(), (VALUES, TARGETS)),
    "ratio_of_sums": (metrics.ratio_of_sums(), (VALUES, SHARES)),
    "rmse": (metrics.rmse(), (VALUES, TARGETS)),
    "score_histogram": (metrics.score_histogram(np.float32([0.3, 0.6])), (SHARES, YES)),
    "segmentation_matrix": (metrics.segmentation_matrix(K, ignore_label=2), tuple(IMAGES)),
    "ssim": (metrics.ssim(2.0, window=3), tuple(IMAGES[..., None].astype(np.float32))),
    "token_bleu": (metrics.token_bleu(smooth_method="add-k"), tuple(TOKENS)),
    "token_error_rate": (metrics.token_error_rate(), tuple(TOKENS)),
    "top_k_accuracy": (metrics.top_k_accuracy(2), (LOGITS, LABELS)),
    "tweedie_deviance": (metrics.tweedie_deviance(1.5), (SHARES, SHARES[::-1].copy())),
    "word_error_rate": (metrics.word_error_rate(), (WORDS, OTHERS)),
}
DETECTIONS = {
    "boxes": np.float32([[[0, 0, 4, 4], [0, 0, 3, 4]]] * N), "scores": RNG.random((N, 2)).astype(np.float32),
    "labels": INDICATORS[0, :, :2],
}  # fmt: skip
OBJECTS = {"boxes": DETECTIONS["boxes"], "labels": INDICATORS[1, :, :2]}
SELECTING = {
    "coco_detection": (
        metrics.then(metrics.coco_detection(2, capacity=12), lambda found: metrics.coco_summary(found).ap),
        (DETECTIONS, OBJECTS),
    ),
    "collected": (metrics.collected(metrics.roc_auc_score, capacity=9), (SHARES, YES)),
    "collected_retrieval": (
        metrics.then(metrics.collected_retrieval(K, capacity=9), lambda scores: scores.map_at_r),
        (LOGITS, LABELS),
    ),
    "largest_error": (metrics.largest_error(), (VALUES, TARGETS)),
    "voc_detection": (
        metrics.then(metrics.voc_detection(2, capacity=12), lambda found: found.mean_all_points),
        (DETECTIONS, OBJECTS),
    ),
}
MAKERS = {
    name: function
    for name, function in ((name, getattr(metrics, name)) for name in own_names(metrics))
    if inspect.isfunction(function) and inspect.signature(function).return_annotation is Metric
}


def repeated(array):
    """Each example as often as `TIMES` says; a list of lists is one of streams of references."""
    if isinstance(array, list) and isinstance(array[0], list):
        return [repeated(stream) for stream in array]
    rows = np.repeat(np.arange(N), TIMES)
    return [array[i] for i in rows] if isinstance(array, list) else array[rows]


def test_every_metric_over_batches_is_in_a_table():
    assert WEIGHING.keys() | SELECTING.keys() == MAKERS.keys() - {"on", "then"}


@cache
def weighed_and_merged(name):
    """Weighed and repeated examples, and batches merged and at once, in one program where arrays are no texts."""
    metric, arrays = WEIGHING[name]
    mask = TIMES > 1

    def program(arrays, repeated, times, mask, *weights):
        weighed = measure(metric, *arrays, weights=times), measure(metric, *repeated)
        parts = [metric.update(metric.init(), *arrays, weights=w) for w in (mask, weights[0])]
        return *weighed, metric.compute(metric.merge(*parts)), measure(metric, *arrays, weights=weights[1])

    call = program if any(isinstance(array, list) for array in arrays) else jax.jit(program)
    times = TIMES.astype(np.float32)
    return call(arrays, tuple(map(repeated, arrays)), times, mask, mask.astype(np.float32), 2 * mask)


@pytest.mark.parametrize("name", WEIGHING)
def test_an_example_of_weight_w_counts_as_w_examples_do(name):
    weighed, expected, *_ = weighed_and_merged(name)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=2e-6, atol=1e-6), weighed, expected)


@pytest.mark.parametrize("name", WEIGHING)
def test_batches_of_weights_and_of_booleans_merge(name):
    """Weights 2 of all examples, merged from batches of which one has no weights, are those of all examples twice."""
    *_, merged, expected = weighed_and_merged(name)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=2e-6, atol=1e-6), merged, expected)


@pytest.mark.parametrize("name", SELECTING)
def test_where_weights_can_only_select_others_are_refused(name):
    metric, arrays = SELECTING[name]
    with pytest.raises(
        ValueError, match=r"^weights must be booleans, or 0 and 1, since they can only select here, got 3"
    ):
        metric.update(metric.init(), *arrays, weights=TIMES)
    selected = measure(metric, *arrays, weights=TIMES > 0)
    assert measure(metric, *arrays, weights=(TIMES > 0).astype(np.float32)) == selected
    assert np.isnan(jax.jit(partial(measure, metric))(*arrays, weights=TIMES))


def test_the_most_confident_mistakes_are_of_examples_that_a_weight_selects():
    with pytest.raises(ValueError, match=r"^weights must be booleans, or 0 and 1, .* got 3"):
        metrics.misclassified(LOGITS, LABELS, k=1, weights=TIMES)


@pytest.mark.parametrize("weights", [RNG.random(N).astype(np.float32), TIMES, TIMES > 0])
def test_streams_and_scores_at_once_weigh_as_scikit_learn_does(weights):
    positive = np.where(YES, SHARES, 1 - SHARES)
    for ours, at_once, theirs in (
        (measure(metrics.mse(), VALUES, TARGETS, weights=weights), metrics.mean_squared_error, sk.mean_squared_error),
        (measure(metrics.mae(), VALUES, TARGETS, weights=weights), metrics.mean_absolute_error, sk.mean_absolute_error),
        (measure(metrics.r2(), VALUES, TARGETS, weights=weights), metrics.r2_score, sk.r2_score),
    ):
        expected = theirs(TARGETS, VALUES, sample_weight=weights)
        np.testing.assert_allclose([ours, at_once(TARGETS, VALUES, sample_weight=weights)], expected, rtol=3e-6)
    table = measure(metrics.confusion_matrix(K), PREDICTED, LABELS, weights=weights)
    expected = sk.confusion_matrix(LABELS, PREDICTED, labels=range(K), sample_weight=weights)
    np.testing.assert_allclose(table, expected, rtol=1e-6)
    area = measure(metrics.collected(metrics.roc_auc_score, capacity=9, weighted=True), SHARES, YES, weights=weights)
    np.testing.assert_allclose(area, sk.roc_auc_score(YES, SHARES, sample_weight=weights), rtol=1e-6)
    loss = measure(metrics.negative_log_likelihood(), np.stack([1 - SHARES, SHARES], 1), YES, weights=weights)
    np.testing.assert_allclose(loss, -np.average(np.log(positive), weights=weights), rtol=1e-6)


ONE_SHOT = [
    name
    for name, function in vars(metrics).items()
    if inspect.isfunction(function) and "sample_weight" in inspect.signature(function).parameters
]
OPTIONS = {"fbeta_score": {"beta": 2.0}}
INPUTS = {
    "y_score": SHARES, "y_proba": SHARES, "y_true": YES, "y_pred": (SHARES > 0.5).astype(np.int32), "y1": YES,
    "y2": (SHARES > 0.5).astype(np.int32),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE_SHOT)
def test_booleans_select_in_every_score_of_all_examples(name):
    function, chosen = getattr(metrics, name), TIMES > 0
    arrays = [INPUTS[p] for p in inspect.signature(function).parameters if p in INPUTS]
    if name.startswith(("label_ranking", "coverage", "dcg", "ndcg")):
        arrays = [INDICATORS[0], LOGITS]
    arrays = [LOGITS if "top_k" in name and a is SHARES else a for a in arrays]
    options = OPTIONS.get(name, {})
    found = function(*arrays, sample_weight=chosen, **options)
    if not isinstance(found, metrics.RocCurve | metrics.DetCurve | metrics.PrecisionRecallCurve | str):
        expected = function(*[a[chosen] for a in arrays], **options)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), found, expected)
        scored = metrics.collected(lambda t, p, **w: function(t.astype(arrays[0].dtype), p, **w), capacity=9)
        if arrays[1] is SHARES and name not in ("top_k_accuracy_score", "top_k_error"):
            jax.tree.map(np.testing.assert_allclose, measure(scored, SHARES, arrays[0], weights=chosen), expected)


@pytest.mark.parametrize("name", sorted(MAKERS.keys() - {"on", "then", "collected", "score_histogram"}))
def test_a_metric_over_batches_called_with_arrays_names_the_call_that_is_meant(name):
    with pytest.raises(ValueError, match=rf"^{name} makes a metric over batches and takes no arrays; at once it is "):
        MAKERS[name](LABELS, jnp.asarray(PREDICTED))
    with pytest.raises(ValueError, match=rf"^{name} makes a metric .* at once it is (?P<call>\w+)\(") as caught:
        MAKERS[name](y_true=LABELS)
    assert caught.match(r"at once it is (?:" + "|".join(metrics.__all__) + r")\(")


def test_the_matrix_of_arrays_is_named():
    with pytest.raises(ValueError, match=r"at once it is confusion_table\(y_true, y_pred\)$"):
        metrics.confusion_matrix(LABELS, PREDICTED)
