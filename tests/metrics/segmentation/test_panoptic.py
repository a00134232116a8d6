from functools import partial

import jax
import numpy as np
import pytest

from fjdl.metrics.base import measure, then
from fjdl.metrics.segmentation.panoptic import panoptic_means, panoptic_quality
from tests.metrics.segmentation.oracles import panoptic_by_hand

CLASSES = 3


def assert_same(ours, expected):
    jax.tree.map(partial(np.testing.assert_allclose, rtol=2e-6), tuple(ours), tuple(expected))


def scenes(rng, images):
    """Blocks of pixels of a class and an instance; predictions are the truth with some blocks drawn again."""
    shape = (images, 3, 4)
    label, number = rng.integers(0, CLASSES + 1, shape), rng.integers(-1, 3, shape)
    redrawn = rng.random(shape) < 0.4
    guess = np.where(redrawn, rng.integers(-1, CLASSES + 1, shape), label)
    other = np.where(redrawn, rng.integers(0, 3, shape), number)
    crowd = rng.random(shape) < 0.2
    return [np.repeat(np.repeat(x, 2, 1), 3, 2) for x in (guess, other, label, number, crowd)]


@pytest.mark.by_day_on_pin(0)
def test_random_segments_score_as_by_the_definition(rng):
    metric = panoptic_quality(CLASSES)
    update, compute = jax.jit(metric.update), jax.jit(metric.compute)
    for _ in range(10):
        arrays = scenes(rng, 4)
        assert_same(compute(update(metric.init(), *arrays[:4])), panoptic_by_hand(*arrays[:4], classes=CLASSES))
        assert_same(compute(update(metric.init(), *arrays)), panoptic_by_hand(*arrays, classes=CLASSES))


@pytest.mark.by_day_on_pin(0)
def test_parts_merge_and_an_image_of_weight_two_counts_twice(rng):
    arrays, metric = scenes(rng, 4), panoptic_quality(CLASSES)
    expected = panoptic_by_hand(*arrays, classes=CLASSES)
    parts = [metric.update(metric.init(), *[x[i : i + 2] for x in arrays]) for i in (0, 2)]
    assert_same(metric.compute(metric.merge(*parts)), expected)
    doubled = [np.concatenate([x, x[:1]]) for x in arrays]
    weighed = measure(metric, *arrays[:4], weights=np.float32([2, 1, 1, 1]))
    assert_same(weighed, panoptic_by_hand(*doubled[:4], classes=CLASSES))
    masked = measure(metric, *arrays[:4], weights=np.array([False, True, False, False]))
    assert_same(masked, panoptic_by_hand(*[x[1:2] for x in arrays[:4]], classes=CLASSES))


def test_stuff_has_one_segment_and_things_have_instances():
    label, one, two = np.zeros((1, 1, 6), int), np.zeros((1, 1, 6), int), np.arange(6).reshape(1, 1, 6) // 3
    assert_same(measure(panoptic_quality(1, things=()), label, two, label, one), [[1.0]] * 3)
    assert_same(measure(panoptic_quality(1, things=(0,)), label, two, label, one), [[0.0]] * 3)
    assert_same(measure(panoptic_quality(1), label, two, label, two), [[1.0]] * 3)


def test_half_is_no_match_and_void_is_taken_off_the_union():
    truth, guess = np.int32([[[0, 0, 1, 1]]]), np.int32([[[0, 0, 0, 0]]])
    none = np.zeros_like(truth)
    quality = measure(panoptic_quality(2), guess, none, truth, none)
    assert_same(quality, [[0, 0], [0, 0], [0, 0]])
    quality = measure(panoptic_quality(2), guess, none, np.where(truth == 1, 255, truth), none)
    assert_same(quality, [[1, np.nan]] * 3)


def test_a_prediction_mostly_on_void_or_in_a_crowd_is_not_wrong():
    guess, none = np.zeros((1, 1, 4), int), np.zeros((1, 1, 4), int)
    for void, wrong in ((3, False), (2, True)):
        truth = np.where(np.arange(4) < void, 255, 1).reshape(1, 1, 4)
        recognition = measure(panoptic_quality(2), guess, none, truth, none).recognition
        np.testing.assert_array_equal(recognition, [0 if wrong else np.nan, 0])
    crowd = np.ones((1, 1, 4), bool)
    assert_same(measure(panoptic_quality(1), guess, none, guess, none, crowd), [[np.nan]] * 3)


def test_means_are_over_the_classes_with_segments(rng):
    arrays = scenes(rng, 3)[:4]
    found = measure(then(panoptic_quality(CLASSES + 4), panoptic_means), *arrays)
    expected = panoptic_by_hand(*arrays, classes=CLASSES + 4)
    assert_same(found, [np.nanmean(x) for x in expected])
    assert np.isnan(panoptic_quality(2).compute(panoptic_quality(2).init()).panoptic).all()


def test_no_classes_and_things_outside_of_them_are_refused():
    with pytest.raises(ValueError, match=r"^classes must be at least 1, got 0$"):
        panoptic_quality(0)
    with pytest.raises(ValueError, match=r"^things must lie in \[0, 2\), got 2$"):
        panoptic_quality(2, things=(0, 2))
