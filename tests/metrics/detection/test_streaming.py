"""Detections over batches: the scores are those of all images at once, however they came."""

from functools import partial
from typing import NamedTuple

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from fjdl import metrics
from fjdl.metrics.base import measure, on, then
from tests.metrics.detection.scenes import CLASSES, padded, random_scenes

IMAGES, DETECTIONS, OBJECTS = 4, 8, 6
COCO, VOC = metrics.coco_detection(CLASSES, capacity=100), metrics.voc_detection(CLASSES, capacity=100)
AT_ONCE = {COCO: metrics.coco_evaluation, VOC: metrics.voc_evaluation}
both = pytest.mark.parametrize("metric", [COCO, VOC], ids=["coco", "voc"])
one_by_day = pytest.mark.parametrize(  # their states are made and merged by the same functions
    "metric", [pytest.param(COCO, id="coco"), pytest.param(VOC, id="voc", marks=pytest.mark.slow)]
)
PROGRAMS = {metric: (jax.jit(metric.update), jax.jit(metric.merge), jax.jit(metric.compute)) for metric in AT_ONCE}


class Detections(NamedTuple):
    """Fields in an order of their own, since they go by name."""

    scores: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    valid: np.ndarray


def batches(count, first=0):
    """Padded batches of random scenes, and the images of all of them."""
    scenes = [random_scenes(first + seed, IMAGES) for seed in range(count)]
    arrays = [(padded(found, DETECTIONS), padded(truth, OBJECTS)) for found, truth in scenes]
    return arrays, [d for found, _ in scenes for d in found], [t for _, truth in scenes for t in truth]


def assert_same(ours, expected):
    jax.tree.map(partial(np.testing.assert_allclose, rtol=2e-6, atol=1e-6), tuple(ours), tuple(expected))


@both
def test_batches_merged_in_parts_are_all_images_at_once(metric):
    update, merge, compute = PROGRAMS[metric]
    for first in range(0, 30, 3):
        arrays, detections, truth = batches(3, first)
        one = update(update(metric.init(), *arrays[0]), *arrays[1])
        total = merge(merge(metric.init(), one), update(metric.init(), *arrays[2]))
        assert_same(compute(total), AT_ONCE[metric](detections, truth, classes=CLASSES))


@both
def test_with_an_index_the_order_of_batches_decides_no_ties(metric):
    update, merge, compute = PROGRAMS[metric]
    arrays, detections, truth = batches(3, 40)
    states = [
        update(metric.init(), Detections(**found), {**objects, "index": np.arange(IMAGES) + IMAGES * number})
        for number, (found, objects) in enumerate(arrays)
    ]
    assert_same(
        compute(merge(states[2], merge(states[0], states[1]))), AT_ONCE[metric](detections, truth, classes=CLASSES)
    )


@one_by_day
def test_the_mask_of_a_batch_leaves_images_out(metric):
    arrays, detections, truth = batches(1, 50)
    mask = np.float32([1, 0, 1, 0])
    outputs, batch = arrays[0][0], {**arrays[0][1], "example_mask": mask}
    state = jax.jit(on(metric, lambda outputs, batch: (outputs, batch)).update)(metric.init(), outputs, batch)
    assert_same(metric.compute(state), AT_ONCE[metric](detections[::2], truth[::2], classes=CLASSES))


@one_by_day
def test_states_of_devices_merge_inside_of_shard_map(metric):
    arrays, detections, truth = batches(2, 60)
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    spec = PartitionSpec("data")

    def update(found, objects):
        return jax.tree.map(lambda x: x[None], metric.update(metric.init(), found, objects))

    joined = jax.tree.map(lambda *parts: np.concatenate(parts), *arrays)
    states = jax.jit(jax.shard_map(update, mesh=mesh, in_specs=spec, out_specs=spec))(*joined)
    one, other = (jax.tree.map(lambda x, i=i: x[i], states) for i in range(2))
    expected = AT_ONCE[metric](detections, truth, classes=CLASSES)
    assert_same(PROGRAMS[metric][2](metric.merge(one, other)), expected)


@both
def test_too_many_detections_and_a_score_that_is_nan_give_no_number(metric):
    update, merge, compute = PROGRAMS[metric]
    (arrays,), *_ = batches(1)
    state = update(metric.init(), *arrays)
    for _ in range(4):
        state = merge(state, state)
    assert all(np.isnan(x).all() for x in compute(state))
    scores = np.where(arrays[0]["valid"], np.nan, 0).astype(np.float32)
    assert all(np.isnan(x).all() for x in compute(update(metric.init(), {**arrays[0], "scores": scores}, arrays[1])))
    hidden = {**arrays[0], "scores": np.where(arrays[0]["valid"], arrays[0]["scores"], np.nan)}
    assert_same(compute(update(metric.init(), hidden, arrays[1])), compute(update(metric.init(), *arrays)))


@one_by_day
def test_no_image_no_detection_and_no_object(metric):
    nothing = AT_ONCE[metric]([], [], classes=CLASSES)
    assert_same(PROGRAMS[metric][2](metric.init()), nothing)
    (arrays,), _, truth = batches(1)
    measured = jax.jit(partial(measure, metric))
    none = {name: x[:, :0] for name, x in arrays[0].items()}
    empty = [{"boxes": np.zeros((0, 4)), "scores": np.zeros(0), "labels": np.zeros(0, int)}] * IMAGES
    assert_same(measured(none, arrays[1]), AT_ONCE[metric](empty, truth, classes=CLASSES))
    no_object = {name: x[:, :0] for name, x in arrays[1].items()}
    assert_same(measured(arrays[0], no_object), nothing)


@pytest.mark.by_day_on_pin(1)
def test_more_detections_of_a_class_than_the_largest_number_are_never_matched():
    box = np.float32([[[0, 0, 10, 10]] * 3])
    found = {
        "boxes": box + np.float32([0, 0, 5, 0]),
        "scores": np.float32([[0.9, 0.8, 0.7]]),
        "labels": np.zeros((1, 3), int),
    }
    found["boxes"][0, 2] = box[0, 2]
    objects = {"boxes": box[:, :1], "labels": np.zeros((1, 1), int)}
    for most, recall in ((2, 0.0), (3, 1.0)):
        options = {"max_detections": (most,), "iou_thresholds": (0.9,)}
        metric = metrics.coco_detection(1, capacity=9, **options)
        streamed = jax.jit(partial(measure, metric))(found, objects)
        assert_same(streamed, metrics.coco_evaluation(found, objects, classes=1, **options))
        assert streamed.recall[0, 0, 0, 0] == recall


def test_the_twelve_numbers_stream_and_name_what_is_worst():
    (arrays,), detections, truth = batches(1, 7)
    update, _, _ = PROGRAMS[COCO]
    summary = then(COCO, metrics.coco_summary).compute(update(COCO.init(), *arrays))
    assert_same(summary, metrics.coco_summary(metrics.coco_evaluation(detections, truth, classes=CLASSES)))


@pytest.mark.parametrize(
    ("make", "rule"),
    [
        (lambda: metrics.coco_detection(2, capacity=0), r"^capacity must be at least 1, got 0$"),
        (lambda: metrics.coco_detection(0, capacity=2), r"^classes must be at least 1, got 0$"),
        (
            lambda: metrics.coco_detection(1, capacity=3 * 10**7),
            r"^capacity must lie in \[1, 20000000\], got 30000000$",
        ),
        (lambda: metrics.voc_detection(1, capacity=1, iou_threshold=2), r"^iou_threshold must lie in \(0, 1\], got 2$"),
        (
            lambda: metrics.coco_detection(1, capacity=1, iou_thresholds=np.linspace(0.5, 0.9, 33).tolist()),
            r"^iou_thresholds must be 32 at most, got 33$",
        ),
    ],
)
def test_options_outside_their_range_are_refused(make, rule):
    with pytest.raises(ValueError, match=rule):
        make()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"scores": np.zeros((4, 7), np.float32)}, r"^scores of a batch must have the shape \(4, 8\), got \(4, 7\)$"),
        ({"labels": np.zeros((4, 8), np.float32)}, r"^labels must be integers, got float32$"),
        ({"labels": None}, r"^boxes must have labels beside them, got none$"),
        ({"boxes": np.zeros((3, 8, 4), np.float32)}, r"^detections and truth must be of as many images, got 3 and 4$"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, rule):
    (arrays,), *_ = batches(1)
    with pytest.raises(ValueError, match=rule):
        COCO.update(COCO.init(), {**arrays[0], **change}, arrays[1])


def test_what_is_no_mapping_is_refused():
    with pytest.raises(ValueError, match=r"^detections and truth must be mappings or named tuples, got list$"):
        COCO.update(COCO.init(), [1.0], [])
