"""A painted rectangle, its mask and its box stay together."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.augment import batch, color, combine, geometry, plane, sample

H, W = 40, 48


def painted(x0: int = 16, y0: int = 14, x1: int = 30, y1: int = 23) -> dict[str, np.ndarray]:
    image, mask = np.zeros((H, W, 3), np.float32), np.zeros((H, W), np.int32)
    image[y0:y1, x0:x1], mask[y0:y1, x0:x1] = 1, 5
    boxes = np.array([[x0, y0, x1, y1], [0, 0, 0, 0]], np.float32)
    return {"image": image, "mask": mask, "boxes": boxes, "classes": np.array([3, 0])}


def box_of(region: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(region)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def assert_together(moved: dict[str, Any], within: float) -> None:
    valid, box = np.asarray(moved["valid"]), np.asarray(moved["boxes"][0])
    assert not valid[1]
    assert not np.any(moved["boxes"][1])
    assert set(np.unique(moved["mask"])) <= {0, 5}
    if not valid[0]:
        assert not np.any(box)
        assert min(np.ptp(np.nonzero(moved["mask"]), axis=1), default=0) <= 1
        return
    np.testing.assert_allclose(box_of(np.asarray(moved["mask"]) == 5), box, atol=within)
    np.testing.assert_allclose(box_of(np.asarray(moved["image"])[..., 0] > 0.5), box, atol=within)


MANY = 40
RANDOM: dict[str, tuple[Callable[..., Any], float]] = {
    "mirror": (sample.random_mirror_sample, 0),
    "flip_vertical": (sample.random_flip_vertical_sample, 0),
    "crop": (partial(sample.random_crop_sample, size=(36, 44), padding=9), 0),
    "resized_crop": (partial(sample.random_resized_crop_sample, size=(50, 30), area=(0.3, 0.9)), 2.1),
    "rot90": (sample.random_rot90_sample, 0),
    "elastic": (partial(sample.random_elastic_sample, alpha=80.0, sigma=4.0), 1.0),
    # The tip of a turned rectangle may hold no centre of a pixel.
    "affine": (partial(sample.random_affine_sample, degrees=180.0, translate=6.0, shear=0.2, scale=(0.9, 1.3)), 2.5),
}


@pytest.mark.parametrize("name", RANDOM)
def test_rectangle_mask_and_box_move_alike(name: str) -> None:
    function, within = RANDOM[name]
    keys = jax.random.split(jax.random.key(1), MANY)
    moved = jax.tree.map(np.asarray, jax.jit(jax.vmap(lambda key: function(key, painted())))(keys))
    assert len(np.unique(moved["boxes"][:, 0], axis=0)) > 1
    for i in range(MANY):
        assert_together({k: v[i] for k, v in moved.items()}, within)
        np.testing.assert_array_equal(moved["classes"][i], [3, 0])


def test_quarter_turns_are_exact() -> None:
    turn = jax.jit(lambda degrees, s: sample.affine_sample(s, plane.rotation(degrees, size=(W, W))))
    square = {k: np.pad(v, [(4, 4), (0, 0), (0, 0)][: v.ndim]) for k, v in painted().items() if k in ("image", "mask")}
    square["boxes"] = painted()["boxes"] + np.array([0, 4, 0, 4], np.float32)
    for quarters in (1, 2, 3, -1):
        moved = turn(np.float32(90 * quarters), square)
        np.testing.assert_array_equal(moved["image"], np.rot90(square["image"], quarters))
        np.testing.assert_array_equal(moved["mask"], np.rot90(square["mask"], quarters))
        np.testing.assert_array_equal(moved["boxes"][0], box_of(np.rot90(square["mask"], quarters)))


def test_quarter_turns_of_an_oblong_sample_are_numpys() -> None:
    given = painted()
    for quarters in range(-1, 5):
        moved = sample.rot90_sample(given, quarters)
        np.testing.assert_array_equal(moved["image"], np.rot90(given["image"], quarters))
        np.testing.assert_array_equal(moved["mask"], np.rot90(given["mask"], quarters))
        np.testing.assert_array_equal(moved["boxes"][0], box_of(np.rot90(given["mask"], quarters)))
    with pytest.raises(ValueError, match=r"^the image must be square where quarters is traced, got shape \(40, 48"):
        jax.eval_shape(sample.rot90_sample, given, jnp.array(1))


def test_a_centre_crop_cuts_off_both_sides_alike_and_boxes_follow() -> None:
    moved = sample.centre_crop_sample(painted(), size=(31, 40))
    given = painted()
    np.testing.assert_array_equal(moved["image"], given["image"][4:35, 4:44])
    np.testing.assert_array_equal(moved["mask"], given["mask"][4:35, 4:44])
    np.testing.assert_array_equal(moved["boxes"][0], [12, 10, 26, 19])


def test_a_box_bends_with_the_pixels_that_sample_it() -> None:
    """Rows sample further right the lower they are: what is at column 16 to 30 moves left by 0 to 10 columns."""
    shift = np.zeros((H, W, 2), np.float32)
    shift[..., 1] = np.arange(H)[:, None] // 4
    given = painted()
    moved = sample.elastic_sample(given, shift)
    np.testing.assert_array_equal(moved["image"][22, 11:25, 0], np.ones(14))
    np.testing.assert_array_equal(moved["boxes"][0], [11, 14, 27, 23])  # rows 14 and 15 by 3, row 22 by 5
    np.testing.assert_array_equal(moved["boxes"][0], box_of(np.asarray(moved["mask"]) == 5))
    gone = sample.elastic_sample(given, np.full((H, W, 2), 1e6, np.float32), fill=0.5, mask_fill=7)
    assert not gone["valid"].any()
    assert not gone["boxes"].any()
    np.testing.assert_array_equal(gone["image"], np.full((H, W, 3), 0.5))
    np.testing.assert_array_equal(gone["mask"], np.full((H, W), 7))


def test_valid_is_what_is_not_0_and_comes_out_as_booleans() -> None:
    for valid in (
        np.array([2, 0]),
        np.array([0.5, 0.0], np.float32),
        np.array([4, 0], np.uint8),
        np.array([True, False]),
    ):
        for move in (
            lambda s: sample.mirror_sample(s, jnp.array(True)),
            lambda s: sample.elastic_sample(s, np.zeros((H, W, 2), np.float32)),
        ):
            moved = move({**painted(), "boxes": np.float32([[1, 2, 9, 9], [3, 3, 9, 9]]), "valid": valid})
            assert moved["valid"].dtype == jnp.bool_
            np.testing.assert_array_equal(moved["valid"], [True, False])


def test_boxes_are_clipped_and_dropped_and_stay_dropped() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 3, 10], [5, 5, 9, 9], [20, 20, 30, 30]], np.float32)
    given = {"image": np.zeros((40, 40, 1), np.float32), "boxes": boxes, "valid": np.array([True, True, False, True])}
    moved = jax.jit(lambda s: sample.crop_sample(s, jnp.array([4, 2]), size=(8, 12), smallest=2.0))(given)
    np.testing.assert_array_equal(moved["valid"], [True, False, False, False])
    np.testing.assert_array_equal(moved["boxes"], [[0, 0, 8, 6], [0] * 4, [0] * 4, [0] * 4])
    assert "mask" not in moved


def test_what_opens_has_its_own_value_in_image_and_mask() -> None:
    given = painted()
    move = partial(sample.affine_sample, fill=0.25, mask_fill=255)
    moved = jax.jit(move)({**given, "mask": given["mask"].astype(np.uint8)}, plane.translation(np.float32([0, 5])))
    np.testing.assert_array_equal(moved["image"][:, :5], np.full((H, 5, 3), 0.25))
    np.testing.assert_array_equal(moved["mask"][:, :5], np.full((H, 5), 255))
    assert moved["mask"].dtype == jnp.uint8


def test_examples_of_a_batch_are_moved_as_images_alone() -> None:
    count = 4
    given = {k: np.stack([v] * count) for k, v in painted().items()}
    jitter = partial(color.random_color_jitter, brightness=0.5)
    examples = batch.each_example(sample.random_mirror_sample, sample.on_image(jitter))
    images = batch.each_image(geometry.random_mirror, jitter)
    moved, alone = jax.jit(lambda key, b: (examples(key, b), images(key, b)))(jax.random.key(0), given)
    np.testing.assert_array_equal(moved["image"], alone["image"])
    assert len({np.asarray(image).tobytes() for image in moved["image"]}) == count
    for i in range(count):
        assert_together({**{k: v[i] for k, v in moved.items()}, "image": np.asarray(moved["image"][i]) > 0}, 0)


def test_sequences_give_each_function_its_own_key() -> None:
    def draw(key: Any, x: Any) -> Any:
        return jnp.concatenate([x[1:], jax.random.uniform(key, (1,))])

    drawn = jax.jit(combine.sequence(draw, draw))(jax.random.key(0), jnp.zeros(2))
    assert drawn[0] != drawn[1]
