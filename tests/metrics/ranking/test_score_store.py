from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics as sk

from fjdl.metrics import base
from fjdl.metrics.ranking import areas, curves, score_store

CLASSES = 3


def tied(rng, size=24):
    return np.round(rng.standard_normal(size), 1).astype(np.float32), rng.integers(0, 2, size)


def stream(metric, scores, labels, masks, parts):
    """The state after separate parts, merged in reverse order."""
    update, merge = jax.jit(metric.update), jax.jit(metric.merge)
    states = [
        update(metric.init(), *arrays[:2], weights=arrays[2])
        for arrays in zip(*[np.split(x, parts) for x in (scores, labels, masks)], strict=True)
    ]
    total = metric.init()
    for state in reversed(states):
        total = merge(total, state)
    return total


def test_batches_merged_in_any_order_give_the_bits_of_all_examples_at_once(rng):
    scores, labels = tied(rng)
    masks = rng.random(24) < 0.8
    for score, theirs in (
        (areas.roc_auc_score, sk.roc_auc_score),
        (areas.average_precision_score, sk.average_precision_score),
    ):
        metric = score_store.collected(score, capacity=24)
        parts = metric.compute(stream(metric, scores, labels, masks, 4))
        assert parts == base.measure(metric, scores[::-1].copy(), labels[::-1].copy(), weights=masks[::-1].copy())
        np.testing.assert_allclose(parts, theirs(labels[masks], scores[masks]), rtol=2e-6)


def test_several_classes_stream_as_one_batch(rng):
    labels, scores = rng.integers(0, CLASSES, (2, 12)), rng.multinomial(8, [1 / 3] * 3, (2, 12)) / 8
    score = partial(areas.roc_auc_score, multi_class="ovo")
    metric = score_store.collected(score, capacity=30, classes=CLASSES)
    state = metric.init()
    for x, y in zip(scores.astype(np.float32), labels, strict=True):
        state = metric.update(state, x, y)
    expected = sk.roc_auc_score(labels.ravel(), scores.reshape(-1, CLASSES), multi_class="ovo")
    np.testing.assert_allclose(metric.compute(state), expected, rtol=2e-6)
    np.testing.assert_allclose(base.measure(metric, scores.astype(np.float32), labels), expected, rtol=2e-6)


def test_several_labels_stream_through_a_batch_with_a_mask(rng):
    labels, scores = rng.integers(0, 2, (8, CLASSES)), rng.random((8, CLASSES)).astype(np.float32)
    score = partial(areas.average_precision_score, average=None)
    metric = base.on(
        score_store.collected(score, capacity=8, classes=CLASSES, multilabel=True), lambda x, batch: (x, batch["label"])
    )
    mask = np.arange(8) < 6
    state = metric.update(metric.init(), scores, {"label": labels, "example_mask": mask})
    expected = sk.average_precision_score(labels[:6], scores[:6], average=None)
    np.testing.assert_allclose(metric.compute(state), expected, rtol=2e-6)


def test_a_curve_streams_too(rng):
    scores, labels = tied(rng)
    curve = base.measure(score_store.collected(curves.roc_curve, capacity=30), scores, labels)
    for a, b in zip(curves.drop_repeated(curve), sk.roc_curve(labels, scores, drop_intermediate=False), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_too_many_examples_are_never_a_number_however_they_came():
    metric = score_store.collected(areas.roc_auc_score, capacity=4)
    update = jax.jit(metric.update)
    scores, labels = np.array([1, 2, 3], np.float32), np.array([0, 1, 1])
    one = update(metric.init(), scores, labels)
    assert metric.compute(one) == 1
    assert metric.compute(update(one, scores, labels, np.array([1, 0, 0]))) == 1
    full = update(one, scores, labels)
    assert np.isnan(metric.compute(full))
    assert np.isnan(metric.compute(metric.merge(one, one)))
    assert np.isnan(metric.compute(metric.merge(metric.init(), full)))
    assert metric.merge(full, full).seen == 5
    assert np.isnan(metric.compute(metric.init()))


def test_states_of_devices_merge_inside_one_program(rng):
    scores, labels = tied(rng)
    metric = score_store.collected(areas.roc_auc_score, capacity=24)

    @jax.jit
    def run(scores, labels):
        states = jax.vmap(lambda x, y: metric.update(metric.init(), x, y))(scores, labels)
        merged, _ = jax.lax.scan(lambda total, state: (metric.merge(total, state), None), metric.init(), states)
        return metric.compute(merged)

    found = run(scores.reshape(4, 6), labels.reshape(4, 6))
    assert found == base.measure(metric, scores, labels)


@pytest.mark.by_day_on_pin(1)
def test_binned_scores_are_within_their_bound(rng):
    y = rng.integers(0, 2, 200)
    x = (rng.standard_normal(200) + y).astype(np.float32)
    for edges in (np.linspace(-2, 3, 6, dtype=np.float32), np.array([], np.float32)):
        histogram = base.measure(score_store.score_histogram(edges), x, y)
        bins = np.searchsorted(edges, x, side="right")
        np.testing.assert_array_equal(histogram[1], np.bincount(bins[y == 1], minlength=len(edges) + 1))
        for value, error, theirs in (
            (score_store.roc_auc_from, score_store.roc_auc_error_from, sk.roc_auc_score),
            (score_store.average_precision_from, score_store.average_precision_error_from, sk.average_precision_score),
        ):
            found, bound = jax.jit(lambda h, f=value, g=error: (f(h), g(h)))(histogram)
            np.testing.assert_allclose(found, theirs(y, bins), rtol=2e-6)
            assert abs(found - theirs(y, x)) <= bound + 1e-6


def test_one_threshold_between_all_scores_has_no_error():
    x, y = np.array([0.1, 0.4, 0.35, 0.8], np.float32), np.array([0, 0, 1, 1])
    histogram = base.measure(score_store.score_histogram(np.array([0.2, 0.375, 0.5], np.float32)), x, y)
    assert score_store.roc_auc_from(histogram) == 0.75
    assert score_store.roc_auc_error_from(histogram) == 0
    assert score_store.average_precision_error_from(histogram) == 0


def test_the_bound_of_weighted_examples_takes_the_least_weight():
    x = np.concatenate([[0.9], np.linspace(0.1, 0.2, 10), [0.3]]).astype(np.float32)
    y = np.concatenate([[0], np.ones(10), [0]]).astype(np.int32)
    weights = np.concatenate([[9], np.full(10, 0.1), [1]]).astype(np.float32)
    histogram = base.measure(score_store.score_histogram(np.array([0.5], np.float32)), x, y, weights=weights)
    error = abs(score_store.average_precision_from(histogram) - sk.average_precision_score(y, x, sample_weight=weights))
    assert error > score_store.average_precision_error_from(histogram)
    assert error <= score_store.average_precision_error_from(histogram, least_weight=0.1)


def test_a_histogram_counts_beyond_float32_and_a_nan_poisons_it_for_good():
    metric = score_store.score_histogram(np.array([0.0], np.float32))
    state = metric.update(metric.init(), np.ones(3, np.float32), np.ones(3, int))
    for _ in range(33):
        state = metric.merge(state, state)
    assert metric.compute(state)[1, 1] == 3 * 2.0**33
    bad = metric.update(metric.init(), np.array([np.nan, 1], np.float32), np.array([1, 0]), np.array([1, 1]))
    assert np.all(np.isnan(metric.compute(metric.merge(bad, state))))
    masked = metric.update(metric.init(), np.array([np.nan, 1], np.float32), np.array([1, 0]), np.array([0, 1]))
    np.testing.assert_array_equal(metric.compute(masked), [[0, 1], [0, 0]])


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (partial(score_store.collected, jnp.mean, capacity=0), "^capacity must be at least 1, got 0$"),
        (partial(score_store.collected, jnp.mean, capacity=3, multilabel=True), "^classes must be given .* got None$"),
        (partial(score_store.score_histogram, np.array([1.0, 1.0])), r"^thresholds must rise, got \[1.0, 1.0\]$"),
    ],
)
def test_options_outside_their_range_are_refused(make, rule):
    with pytest.raises(ValueError, match=rule):
        make()


def test_shapes_that_do_not_fit_are_refused():
    metric = score_store.collected(areas.roc_auc_score, capacity=3, classes=2)
    for scores, labels in (((3,), (3,)), ((3, 3), (3,)), ((3, 2), (3, 1)), ((3, 2), (2,))):
        with pytest.raises(ValueError, match=r"^scores and labels must end in the shapes"):
            metric.update(metric.init(), np.zeros(scores, np.float32), np.zeros(labels, int))
