"""Changes of images with boxes: mosaics, zooms and crops around objects."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fjdl.augment import iou_crop, mosaics, placing
from tests.augment.test_sample import H, W, assert_together, painted

FOUR = 4


def batch(rng: np.random.Generator) -> dict[str, np.ndarray]:
    boxes = np.sort(rng.uniform(0, 12, (FOUR, 3, 2, 2)), axis=2).reshape(FOUR, 3, 4).astype(np.float32)
    return {
        "image": rng.integers(0, 256, (FOUR, 12, 16, 3), dtype=np.uint8),
        "mask": rng.integers(0, 9, (FOUR, 12, 16), dtype=np.uint8),
        "boxes": boxes,
        "labels": np.arange(12, dtype=np.int32).reshape(FOUR, 3) + 1,
        "valid": np.array([[True, True, False]] * FOUR),
        "image_id": np.arange(FOUR, dtype=np.int32),
    }


def by_hand(given: dict[str, np.ndarray], four: Any, centre: Any) -> dict[str, np.ndarray]:
    """Slices of NumPy, and boxes one by one."""
    (cy, cx), (h, w) = centre, given["image"].shape[1:3]
    made, found = {}, []
    for name in ("image", "mask"):
        a, b, c, d = (given[name][k] for k in four)
        top = np.concatenate([a[h - cy :, w - cx :], b[h - cy :, : w - cx]], axis=1)
        made[name] = np.concatenate([top, np.concatenate([c[: h - cy, w - cx :], d[: h - cy, : w - cx]], axis=1)])
    parts = [(0, 0, cx, cy), (cx, 0, w, cy), (0, cy, cx, h), (cx, cy, w, h)]
    for part, (x0, y0, x1, y1) in enumerate(parts):
        shift = np.array([cx - (part % 2 == 0) * w, cy - (part < 2) * h] * 2)
        for box, label, valid in zip(*(given[k][four[part]] for k in ("boxes", "labels", "valid")), strict=True):
            moved = np.clip(box + shift, [x0, y0, x0, y0], [x1, y1, x1, y1])
            if valid and (moved[2:] - moved[:2]).min() >= 1:
                found.append((moved, label))
    areas = np.array([np.prod(moved[2:] - moved[:2]) for moved, _ in found])
    kept = sorted(np.argsort(-areas, kind="stable")[:3])
    made["boxes"], made["labels"] = np.zeros((3, 4), np.float32), np.zeros(3, np.int32)
    for row, place in enumerate(kept):
        made["boxes"][row], made["labels"][row] = found[place]
    return {**made, "valid": np.arange(3) < len(kept)}


def test_a_mosaic_is_that_of_slices_with_its_largest_boxes(rng: np.random.Generator) -> None:
    make = jax.jit(mosaics.mosaic)
    for _ in range(8):
        given = batch(rng)
        partners = rng.integers(0, FOUR, (FOUR, 3), dtype=np.int32)
        centres = rng.integers(0, [13, 17], (FOUR, 2), dtype=np.int32)
        made = make(given, partners, centres)
        for k in range(FOUR):
            for name, expected in by_hand(given, [k, *partners[k]], centres[k]).items():
                np.testing.assert_allclose(made[name][k], expected, atol=1e-5, err_msg=name)
        np.testing.assert_array_equal(made["image_id"], np.arange(FOUR))


def test_a_mosaic_around_the_last_corner_is_the_image_itself(rng: np.random.Generator) -> None:
    given = batch(rng)
    given["boxes"] = np.tile(np.float32([[1, 1, 4, 4], [0, 0, 9, 9], [0, 0, 0, 0]]), (FOUR, 1, 1))
    given["labels"][:, 2] = 0
    made = jax.jit(lambda key, given: mosaics.random_mosaic(key, given, probability=0.0))(jax.random.key(0), given)
    for name, values in given.items():
        np.testing.assert_array_equal(made[name], values, err_msg=name)


def test_a_mosaic_needs_no_boxes_and_shows_partners(rng: np.random.Generator) -> None:
    images = np.broadcast_to(np.arange(FOUR, dtype=np.uint8)[:, None, None, None], (FOUR, 8, 8, 1)) + 1
    draw = jax.jit(jax.vmap(lambda key: mosaics.random_mosaic(key, {"image": images})["image"]))
    drawn = np.asarray(draw(jax.random.split(jax.random.key(2), 200)))[..., 0]
    for k in range(FOUR):
        assert np.all(drawn[:, k, 0, 0] == k + 1)
        assert np.unique(drawn[:, k, -1, -1]).tolist() == [1, 2, 3, 4]
    edges = np.argmax(np.diff(drawn[:, 0, :, 0].astype(int), axis=1) != 0, axis=1)
    assert set(edges[drawn[:, 0, -1, 0] != 1]) <= {1, 2, 3, 4, 5}
    with pytest.raises(ValueError, match=r"^centre must lie in \[0, 1\]"):
        mosaics.random_mosaic(jax.random.key(0), {"image": images}, centre=(0.5, 1.5))


def test_a_zoomed_rectangle_its_mask_and_its_box_stay_together() -> None:
    keys = jax.random.split(jax.random.key(1), 40)
    for function in (placing.random_zoom_sample, placing.random_zoom_out_sample):
        moved = jax.tree.map(np.asarray, jax.jit(jax.vmap(lambda key: function(key, painted())))(keys))  # noqa: B023
        assert len(np.unique(moved["boxes"][:, 0], axis=0)) > 10
        for i in range(len(keys)):
            one = {k: v[i] for k, v in moved.items()}
            if min(one["boxes"][0][2:] - one["boxes"][0][:2]) > 4:  # smaller ones become blurred
                assert_together(one, 1.01)


def test_a_window_inside_is_a_smaller_image_with_fill_around(rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    image = rng.uniform(size=(H, W, 3)).astype(np.float32)
    drawn = placing.place(image, np.float32([5, 7, 20, 30]), fill=0.25)
    channels = torch.from_numpy(image).permute(2, 0, 1)[None]
    small = torch.nn.functional.interpolate(channels, (20, 30), mode="bilinear", antialias=True)
    expected = np.full((H, W, 3), 0.25, np.float32)
    expected[5:25, 7:37] = small[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(drawn, expected, atol=1e-5)
    large = torch.nn.functional.interpolate(channels, (2 * H, 2 * W), mode="bilinear", antialias=True)
    zoomed = placing.place(image, np.float32([-10, -20, 2 * H, 2 * W]))
    np.testing.assert_allclose(zoomed, large[0].permute(1, 2, 0).numpy()[10 : 10 + H, 20 : 20 + W], atol=1e-5)
    mask = rng.integers(0, 9, (H, W, 1), dtype=np.uint8)
    nearest = placing.place(mask, np.float32([-10, -20, 2 * H, 2 * W]), nearest=True)
    np.testing.assert_array_equal(nearest, mask.repeat(2, 0).repeat(2, 1)[10 : 10 + H, 20 : 20 + W])


def test_mask_and_box_of_a_sample_are_placed_with_its_image() -> None:
    given = painted()
    moved = placing.place_sample(given, np.float32([0, 0, 2 * H, 2 * W]))
    np.testing.assert_array_equal(moved["boxes"], [[32, 28, W, H], [0] * 4])
    np.testing.assert_array_equal(moved["mask"], given["mask"].repeat(2, 0).repeat(2, 1)[:H, :W])
    small = placing.place_sample(given, np.float32([20, 24, H / 2, W / 2]), fill=0.5, mask_fill=9)
    np.testing.assert_array_equal(small["boxes"][0], [32, 27, 39, 31.5])
    np.testing.assert_array_equal(small["mask"][:20], np.full((20, W), 9))
    np.testing.assert_array_equal(small["image"][:20], np.full((20, W, 3), 0.5))


def test_the_canvas_as_the_window_keeps_every_bit(rng: np.random.Generator) -> None:
    for image in (rng.integers(0, 256, (9, 7, 3), dtype=np.uint8), rng.normal(size=(9, 7, 3)).astype(np.float32)):
        np.testing.assert_array_equal(placing.place(image, np.float32([0, 0, 9, 7])), image)
    nothing = placing.place(np.ones((3, 3, 1), np.float32), np.float32([0, 0, 0, 0]), fill=0.5)
    np.testing.assert_array_equal(nothing, np.full((3, 3, 1), 0.5))


def test_zooms_have_their_factor_and_cover_or_lie_in_the_canvas() -> None:
    draw = jax.vmap(lambda key: placing.random_zoom_window(key, size=(40, 60), scale=(0.5, 1.5)))
    top, left, height, width = np.asarray(jax.jit(draw)(jax.random.split(jax.random.key(0), 2000))).T
    np.testing.assert_allclose(height / 40, width / 60, rtol=1e-5)
    assert abs(height.mean() / 40 - 1) < 0.03
    for start, extent, size in ((top, height, 40), (left, width, 60)):
        small = extent < size
        assert np.all(start[small] >= 0)
        assert np.all((start + extent)[small] <= size + 1e-3)
        assert np.all(start[~small] <= 0)
        assert np.all((start + extent)[~small] >= size - 1e-3)


@pytest.mark.parametrize("least", [0.3, 0.7])
def test_crops_overlap_an_object_enough_and_keep_centres(least: float) -> None:
    boxes = np.float32([[4, 4, 28, 30], [30, 5, 46, 18], [0, 0, 0, 0]])
    given = {**painted(), "boxes": boxes, "valid": np.array([True, True, False])}
    given["image"] = np.stack([*np.broadcast_arrays(*np.mgrid[0:H, 0:W]), np.zeros((H, W))], axis=-1).astype(np.float32)

    def draw(key: Any) -> Any:
        return iou_crop.random_iou_crop_sample(key, given, size=(H, W), overlaps=(least,), smallest=0.1)

    moved = jax.tree.map(np.asarray, jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(0), 100)))
    cropped = 0
    for image, valid, box in zip(moved["image"], moved["valid"], moved["boxes"], strict=True):
        y, x = image[..., 0], image[..., 1]
        steps = (x[0, -2] - x[0, 1]) / (W - 3), (y[-2, 0] - y[1, 0]) / (H - 3)
        middle = (x[0].min() + x[0].max() + 1) / 2, (y[:, 0].min() + y[:, 0].max() + 1) / 2
        sides = steps[0] * W, steps[1] * H
        window = np.array([middle[k % 2] + (sides[k % 2] / 2) * (-1 if k < 2 else 1) for k in range(4)])
        cropped += sides[0] < W - 0.5
        shared = np.clip(np.minimum(boxes[:2, 2:], window[2:]) - np.maximum(boxes[:2, :2], window[:2]), 0, None).prod(1)
        union = (boxes[:2, 2:] - boxes[:2, :2]).prod(1) + sides[0] * sides[1] - shared
        centres = (boxes[:2, :2] + boxes[:2, 2:]) / 2
        inside = np.all((centres > window[:2] + 0.5) & (centres < window[2:] - 0.5), axis=1)
        assert not np.any(inside & ~valid[:2])
        if sides[0] < W - 0.5:
            assert valid.any()
            assert (shared / union)[valid[:2]].max() > least - 0.08
        assert not box[~valid].any()
    assert 20 < cropped < 80  # the whole image has probability one half, and more where no window fits


def test_without_an_object_nothing_is_cropped() -> None:
    image = painted()["image"]
    for given in ({"image": image}, {**painted(), "valid": np.zeros(2, bool)}):
        moved = iou_crop.random_iou_crop_sample(jax.random.key(3), given, size=(H, W), overlaps=(0.0,) * 50)
        np.testing.assert_array_equal(moved["image"], image)


def test_a_centred_crop_keeps_boxes_by_their_centre() -> None:
    given = {**painted(), "boxes": np.float32([[0, 0, 10, 10], [0, 0, 18, 18]])}
    moved = iou_crop.centred_crop_sample(given, jnp.array([6, 6, 12, 12]), size=(12, 12))
    np.testing.assert_array_equal(moved["valid"], [False, True])
    np.testing.assert_array_equal(moved["boxes"], [[0] * 4, [0, 0, 12, 12]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda key, s: placing.random_zoom_sample(key, s, scale=(0.0, 1.0)), r"^scale must ascend within \(0, inf\]"),
        (lambda key, s: placing.random_zoom_out_sample(key, s, ratio=(0.5, 2.0)), "^ratio must be at least 1, got"),
        (lambda key, s: placing.place(s["image"] > 0, jnp.zeros(4)), "^bilinear sampling needs numbers, got bool"),
        (lambda key, s: iou_crop.random_iou_crop_sample(key, s, size=(4, 4), overlaps=(1.5,)), "^overlaps must lie in"),
        (lambda key, s: iou_crop.random_iou_crop_sample(key, s, size=(4, 4), attempts=0), "^attempts must be at least"),
    ],
)
def test_options_that_mean_nothing_are_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(jax.random.key(0), painted())
