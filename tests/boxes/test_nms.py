"""Non-maximum suppression beside the loops of torchvision and of the papers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType

from fjdl import boxes
from fjdl.lowering import suppression as forms
from tests.boxes import suppression as oracles
from tests.meshes import EVERYWHERE, SPLIT

N = 40
FORMS = {
    "one by one": forms.one_by_one,
    "blocks": partial(forms.by_blocks, block=16),
    "one block": forms.by_blocks,
    "rounds": forms.by_rounds,
}


def indices(kept: boxes.Kept) -> list[int]:
    """Those that count; the others are 0 and stand last."""
    valid = np.asarray(kept.valid)
    assert np.all(valid[:-1] >= valid[1:])
    assert not np.any(np.asarray(kept.indices)[~valid])
    assert not np.any(np.asarray(kept.scores)[~valid])
    return np.asarray(kept.indices)[valid].tolist()


def columns(scene: tuple[np.ndarray, ...], *, labels: bool) -> forms.Columns:
    corners, _, classes = scene
    return forms.Columns(*jnp.asarray(corners).T, label=jnp.asarray(classes) if labels else None)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_the_kept_boxes_are_those_of_torchvisions_loops(rng: np.random.Generator, threshold: float) -> None:
    for _ in range(10):
        corners, scores, labels = oracles.scene(rng, N)
        kept = boxes.nms(corners, scores, iou_threshold=threshold)
        assert indices(kept) == oracles.nms(corners, scores, threshold)
        np.testing.assert_array_equal(kept.scores[: len(indices(kept))], scores[indices(kept)])
        by_label = boxes.nms(corners, scores, labels, iou_threshold=threshold)
        assert indices(by_label) == oracles.by_label(corners, scores, labels, threshold)


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("most", [1, 7, N, N + 5])
def test_every_form_keeps_the_same_boxes(rng: np.random.Generator, most: int, labels: bool) -> None:
    programs = [jax.jit(partial(form, most=most)) for form in FORMS.values()]
    for _ in range(4):
        scene = oracles.scene(rng, N)
        scores = np.where(rng.random(N) < 0.2, -np.inf, scene[1]).astype(np.float32)
        chosen = np.flatnonzero(scores > -np.inf)
        wanted = oracles.by_label(
            scene[0][chosen], scores[chosen], scene[2][chosen] if labels else np.zeros(len(chosen)), 0.4
        )
        expected = [*chosen[wanted], *[N] * most][:most]
        for name, program in zip(FORMS, programs, strict=True):
            found = program(columns(scene, labels=labels), scores, jnp.float32(0.4))
            assert found.tolist() == expected, name


@pytest.mark.parametrize("name", ["blocks", "rounds"])
def test_forms_for_other_platforms_work_mapped_and_on_meshes(rng: np.random.Generator, name: str) -> None:
    scenes = [oracles.scene(rng, N) for _ in range(2)]
    corners, scores, _ = (np.stack(each) for each in zip(*scenes, strict=True))

    def kept(corners: jax.Array, scores: jax.Array) -> jax.Array:
        return FORMS[name](forms.Columns(*corners.T, label=None), scores, jnp.float32(0.4), most=9)

    expected = [(oracles.nms(*scene[:2], 0.4) + [N] * 9)[:9] for scene in scenes]
    assert jax.jit(jax.vmap(kept))(corners, scores).tolist() == expected
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    sharded = jax.shard_map(jax.vmap(kept), mesh=mesh, in_specs=(SPLIT, SPLIT), out_specs=SPLIT)
    assert jax.jit(sharded)(corners, scores).tolist() == expected
    shared = jax.shard_map(
        lambda corners, scores: kept(corners, scores[0])[None], mesh=mesh, in_specs=(EVERYWHERE, SPLIT), out_specs=SPLIT
    )
    mixed = [(oracles.nms(corners[0], own, 0.4) + [N] * 9)[:9] for own in scores]
    assert jax.jit(shared)(corners[0], scores).tolist() == mixed


def test_few_of_many_are_found_in_rounds_on_a_tpu_and_others_in_blocks() -> None:
    assert forms._cheapest(10_000, 100) is forms.by_rounds
    assert forms._cheapest(10_000, 1000) is forms.by_blocks
    assert forms._cheapest(1000, 100) is forms.by_blocks


def test_an_overlap_of_exactly_the_threshold_does_not_suppress() -> None:
    corners = np.float32([[0, 0, 2, 2], [0, 0, 2, 1], [0, 0, 2, 1]])  # IoU 1/2, and 1
    assert indices(boxes.nms(corners, np.float32([3, 2, 1]), iou_threshold=0.5)) == [0, 1]
    assert indices(boxes.nms(corners, np.float32([3, 2, 1]), iou_threshold=0.4999)) == [0]
    assert indices(boxes.nms(corners, np.float32([3, 2, 1]), iou_threshold=1.0)) == [0, 1, 2]


def test_boxes_that_do_not_count_neither_stay_nor_suppress() -> None:
    same = np.tile(np.float32([0, 0, 2, 2]), (5, 1))
    scores = np.float32([0.9, np.nan, -np.inf, 0.5, 0.5])
    assert indices(boxes.nms(same, scores)) == [0]
    assert indices(boxes.nms(same, scores, None, np.array([False, True, True, True, True]))) == [3]
    for function in (boxes.nms, boxes.soft_nms_linear, boxes.soft_nms_gaussian):
        assert indices(function(same, scores, None, np.zeros(5, bool))) == []


def test_boxes_without_area_and_boxes_that_are_not_finite_overlap_none() -> None:
    corners = np.float32(
        [[1, 1, 1, 1], [1, 1, 1, 1], [3, 3, 2, 2], [0, 0, np.inf, np.inf], [0, 0, np.inf, np.inf], [np.nan, 0, 1, 1]]
    )
    scores = np.arange(6, 0, -1).astype(np.float32)
    assert indices(boxes.nms(corners, scores, iou_threshold=0.0)) == [0, 1, 2, 3, 4, 5]
    soft = boxes.soft_nms_linear(corners, scores, iou_threshold=0.0)
    assert indices(soft) == [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(soft.scores, scores)


def test_without_boxes_nothing_is_kept() -> None:
    for function in (boxes.nms, boxes.soft_nms_linear, boxes.soft_nms_gaussian):
        kept = function(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), most=3)
        assert kept.indices.shape == (3,)
        assert indices(kept) == []


def test_labels_of_far_coordinates_stay_apart() -> None:
    """Shifting labels apart by the largest coordinate, as torchvision does, rounds these boxes to one."""
    corners = np.float32([[0, 0, 1, 1], [0, 0, 1, 1], [2**25, 0, 2**25 + 4, 1]])
    assert indices(boxes.nms(corners, np.float32([3, 2, 1]), np.array([0, 1, 1]))) == [0, 1, 2]


@pytest.mark.parametrize(
    ("function", "factor"),
    [
        (partial(boxes.soft_nms_linear, iou_threshold=0.3), lambda iou: np.where(iou > 0.3, 1 - iou, 1)),
        (partial(boxes.soft_nms_gaussian, sigma=0.5), lambda iou: np.exp(-(iou**2) / 0.5)),
    ],
    ids=["linear", "gaussian"],
)
def test_soft_scores_are_those_of_the_paper(rng: np.random.Generator, function, factor) -> None:
    for _ in range(5):
        corners, _, labels = oracles.scene(rng, N)
        scores = rng.permutation(N).astype(np.float32) / N
        kept = function(corners, scores, least=0.06)
        places, values = oracles.soft(corners, scores, factor, 0.06)
        assert indices(kept) == places
        np.testing.assert_allclose(kept.scores[: len(values)], values, rtol=1e-5)
        one = indices(function(corners, scores, np.where(labels == 0, 0, 1 + np.arange(N)), least=0.06))
        alone = np.flatnonzero(labels == 0)
        among = alone[oracles.soft(corners[alone], scores[alone], factor, 0.06)[0]]
        assert [place for place in one if labels[place] == 0] == among.tolist()


def test_the_number_of_boxes_may_be_left_open() -> None:
    (n,) = jax.export.symbolic_shape("n")
    given = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((n, 4), (n,))]
    exported = jax.export.export(jax.jit(partial(boxes.nms, most=4)), platforms=("cpu", "tpu"))(*given)
    corners, scores, _ = oracles.scene(np.random.default_rng(0), N)
    assert exported.call(corners, scores).indices.tolist() == boxes.nms(corners, scores, most=4).indices.tolist()


def detected(found: boxes.Detections, image: int) -> list[tuple[float, int]]:
    valid = np.asarray(found.valid[image])
    assert not np.any(np.asarray(found.boxes[image])[~valid])
    return list(zip(np.asarray(found.scores[image])[valid].tolist(), found.labels[image][valid].tolist(), strict=True))


def test_detections_are_the_kept_boxes_of_each_image(rng: np.random.Generator) -> None:
    corners, scores, labels = (np.stack(each) for each in zip(*[oracles.scene(rng, N) for _ in range(3)], strict=True))
    found = boxes.detections(corners, scores, labels, most=12, score_threshold=0.25, candidates=30)
    assert found.boxes.shape == (3, 12, 4)
    assert found.labels.dtype == jnp.int32
    for image in range(3):
        best = np.argsort(-scores[image], kind="stable")[:30]
        best = best[scores[image][best] > 0.25]
        kept = best[oracles.by_label(corners[image][best], scores[image][best], labels[image][best], 0.5)][:12]
        assert detected(found, image) == [(scores[image][k], labels[image][k]) for k in kept]
        np.testing.assert_array_equal(found.boxes[image][: len(kept)], corners[image][kept])


def test_detections_of_classes_take_every_pair_above_the_threshold(rng: np.random.Generator) -> None:
    corners = np.stack([oracles.scene(rng, N)[0] for _ in range(2)])
    scores = rng.permutation(2 * N * 3).reshape(2, N, 3).astype(np.float32) / 240
    valid = rng.random((2, N)) < 0.8
    found = boxes.class_detections(corners, scores, valid, most=20, score_threshold=0.3, candidates=60)
    for image in range(2):
        pairs = [(s, k, m) for m, row in enumerate(scores[image]) for k, s in enumerate(row) if valid[image, m]]
        pairs = sorted([pair for pair in pairs if pair[0] > np.float32(0.3)], reverse=True)[:60]
        s, k, m = (np.array(each) for each in zip(*pairs, strict=True))
        kept = oracles.by_label(corners[image][m], s, k, 0.5)[:20]
        assert detected(found, image) == [(s[i], k[i]) for i in kept]


def test_detections_have_the_gradient_of_the_chosen_boxes_and_scores(rng: np.random.Generator) -> None:
    corners, scores, labels = (x[None] for x in oracles.scene(rng, 6))

    def total(corners: jax.Array, scores: jax.Array) -> jax.Array:
        found = boxes.detections(corners, scores, labels, most=3)
        return jnp.sum(found.boxes) + jnp.sum(found.scores)

    found = boxes.nms(corners[0], scores[0], labels[0], most=3)
    chosen = np.isin(np.arange(6), indices(found))
    slopes = jax.grad(total, argnums=(0, 1))(jnp.asarray(corners), jnp.asarray(scores))
    np.testing.assert_array_equal(slopes[1][0], chosen)
    np.testing.assert_array_equal(slopes[0][0], np.repeat(chosen[:, None], 4, 1))


def test_images_without_boxes_have_no_detections() -> None:
    none = np.zeros((2, 0), np.float32)
    found = boxes.detections(none[..., None].repeat(4, 2), none, none.astype(np.int32), most=3)
    assert found.boxes.shape == (2, 3, 4)
    assert not np.any(found.valid)
    assert not np.any(boxes.class_detections(none[..., None].repeat(4, 2), none[..., None].repeat(2, 2), most=3).valid)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda b, s: boxes.nms(b, s, iou_threshold=1.5), r"iou_threshold must lie in \[0, 1\], got 1.5"),
        (lambda b, s: boxes.nms(b, s, most=0), "most must be at least 1, got 0"),
        (lambda b, s: boxes.soft_nms_gaussian(b, s, sigma=0), "sigma must be positive and finite, got 0"),
        (lambda b, s: boxes.soft_nms_linear(b, s, least=-1.0), "least must be finite and not negative, got -1.0"),
        (lambda b, s: boxes.nms(b, s[:2]), "nms: argument `scores` must be .* got .*"),
    ],
)
def test_wrong_options_are_refused(call, rule: str) -> None:
    with pytest.raises(ValueError, match=f"^{rule}$"):
        call(np.zeros((3, 4), np.float32), np.zeros(3, np.float32))
