"""Codes of boxes beside torchvision's `BoxCoder`, SSD's variances and darknet's formulas, in double precision."""

from functools import partial

import jax
import numpy as np
import pytest

from fjdl import boxes


def pairs(rng: np.random.Generator, n: int = 64) -> tuple[np.ndarray, np.ndarray]:
    low, size = rng.uniform(0, 50, (2, n, 2)), rng.uniform(2, 60, (2, n, 2))
    both = np.concatenate([low, low + size], -1).astype(np.float32)
    return both[0], both[1]


def of_torchvision(reference: np.ndarray, proposals: np.ndarray, weights: tuple[float, ...]) -> np.ndarray:
    """`encode_boxes`."""
    reference, proposals = reference.astype(np.float64), proposals.astype(np.float64)
    ex, gt = ((b[:, 2:] - b[:, :2], b[:, :2] + 0.5 * (b[:, 2:] - b[:, :2])) for b in (proposals, reference))
    return np.concatenate([(gt[1] - ex[1]) / ex[0], np.log(gt[0] / ex[0])], 1) * weights


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0)])
def test_moves_and_scales_are_those_of_torchvision_and_come_back(rng: np.random.Generator, weights) -> None:
    truth, anchors = pairs(rng)
    code = boxes.encode(truth, anchors, weights=weights)
    np.testing.assert_allclose(code, of_torchvision(truth, anchors, weights), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(boxes.decode(code, anchors, weights=weights), truth, rtol=1e-5, atol=1e-4)


def test_ssd_divides_by_variances(rng: np.random.Generator) -> None:
    truth, anchors = pairs(rng)
    (x, w), (x_a, w_a) = (((b[:, 0] + b[:, 2]) / 2, b[:, 2] - b[:, 0]) for b in (truth, anchors))
    code = boxes.encode(truth, anchors, weights=(10.0, 10.0, 5.0, 5.0))
    np.testing.assert_allclose(code[:, 0], (x - x_a) / w_a / 0.1, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(code[:, 2], np.log(w / w_a) / 0.2, rtol=1e-4, atol=1e-4)


def test_a_logarithm_is_cut_off_as_in_torchvision() -> None:
    anchor = np.float32([0, 0, 2, 4])
    found = boxes.decode(np.float32([0, 0, 1000, 1000]), anchor)
    np.testing.assert_allclose(found, [1 - 62.5, 2 - 125, 1 + 62.5, 2 + 125], rtol=1e-5)
    slope = jax.grad(lambda code: boxes.decode(code, anchor).sum())(np.float32([0, 0, 1000, 0]))
    assert slope[2] == 0
    assert np.all(np.isfinite(slope))


DEGENERATE = np.float32([[3, 3, 3, 3], [5, 5, 4, 4], [0, 0, 0, 9], [0, 0, 8, 8], [-1e6, 0, 1e6, 1]])


def test_degenerate_boxes_have_finite_codes_and_come_back_as_points_and_lines() -> None:
    truth, anchors = (x.reshape(-1, 4) for x in np.broadcast_arrays(DEGENERATE[:, None], DEGENERATE[None]))
    code = boxes.encode(truth, anchors)
    assert np.all(np.isfinite(code))
    assert np.all(np.isfinite(boxes.decode(code, anchors)))
    one = np.tile(DEGENERATE[3], (5, 1))
    again = np.asarray(boxes.decode(boxes.encode(DEGENERATE, one), one))
    np.testing.assert_allclose(again[[0, 2, 3]], DEGENERATE[[0, 2, 3]], atol=1e-5)
    slopes = jax.grad(lambda t, a: boxes.encode(t, a).sum(), argnums=(0, 1))(truth, anchors)
    assert all(np.all(np.isfinite(slope)) for slope in slopes)
    cells = boxes.grid_cells(DEGENERATE, size=(2, 2), stride=8.0)
    assert np.all(np.isfinite(boxes.encode_in_cell(DEGENERATE, cells, stride=8.0, image=(16, 16))))
    assert np.all(np.isfinite(boxes.encode_in_cell_by_shape(DEGENERATE, cells, DEGENERATE[:, 2:], stride=8.0)))


def test_cells_are_those_of_the_centres_and_those_outside_count_to_the_border() -> None:
    corners = np.float32([[0, 0, 2, 2], [7, 0, 9, 2], [6, 14, 8, 16], [-9, -9, -5, -5], [99, 99, 99, 99], [np.nan] * 4])
    cells = boxes.grid_cells(corners, size=(2, 3), stride=8.0)
    assert cells.tolist() == [[0, 0], [0, 1], [1, 0], [0, 0], [1, 2], [0, 0]]


def test_yolo_codes_are_those_of_the_papers_and_come_back(rng: np.random.Generator) -> None:
    truth, shapes = pairs(rng)[0], np.float32(rng.uniform(5, 40, (64, 2)))
    stride, image = 16.0, (112, 128)
    cells = np.asarray(boxes.grid_cells(truth, size=(7, 8), stride=stride))
    x, y, w, h = (truth[:, 0] + truth[:, 2]) / 2, (truth[:, 1] + truth[:, 3]) / 2, *(truth[:, 2:] - truth[:, :2]).T
    assert cells[:, 0].tolist() == (y // 16).astype(int).tolist()
    first = boxes.encode_in_cell(truth, cells, stride=stride, image=image)
    within = np.stack([x / 16 - cells[:, 1], y / 16 - cells[:, 0]], 1)
    np.testing.assert_allclose(first[:, :2], within, atol=1e-5)
    np.testing.assert_allclose(first[:, 2:], np.stack([np.sqrt(w / 128), np.sqrt(h / 112)], 1), rtol=1e-5)
    back = boxes.decode_in_cell(first, cells, stride=stride, image=image)
    np.testing.assert_allclose(back, truth, rtol=1e-4, atol=1e-3)
    second = boxes.encode_in_cell_by_shape(truth, cells, shapes, stride=stride)
    np.testing.assert_allclose(1 / (1 + np.exp(-second[:, :2])), within, atol=2e-4)
    np.testing.assert_allclose(second[:, 2:], np.log(np.stack([w, h], 1) / shapes), rtol=1e-4, atol=1e-4)
    back = boxes.decode_in_cell_by_shape(second, cells, shapes, stride=stride)
    np.testing.assert_allclose(back, truth, rtol=1e-4, atol=4e-3)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (partial(boxes.encode, weights=(1.0, 0.0, 1.0, 1.0)), "weights must be positive and finite, got .*"),
        (partial(boxes.decode, largest_log=0.0), "largest_log must be positive, got 0.0"),
        (lambda a, _: boxes.grid_cells(a, size=(2, 2), stride=0.0), "stride must be positive and finite, got 0.0"),
        (
            lambda a, b: boxes.encode_in_cell_by_shape(a, b[:, :2].astype(int), b[:, 2:], stride=8.0, margin=0.5),
            r"margin must lie in \(0, 0.5\), got 0.5",
        ),
    ],
)
def test_wrong_options_are_refused(call, rule: str) -> None:
    with pytest.raises(ValueError, match=f"^{rule}$"):
        call(DEGENERATE, DEGENERATE)
