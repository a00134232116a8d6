"""Run lengths and polygons against pycocotools."""

import numpy as np
import pycocotools.mask as peer
import pytest

from fjdl.data.vision import compressed, decode_run_lengths, encode_run_lengths, expanded, polygon_mask
from fjdl.errors import DataError

# pycocotools decodes with an `__array__` of before NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword")


@pytest.mark.parametrize("share", [0, 0.02, 0.5, 0.98, 1])
def test_run_lengths_are_those_of_pycocotools(rng, share):
    for _ in range(40):
        mask = (rng.random(rng.integers(1, 90, 2)) < share).astype(np.uint8)
        theirs = peer.encode(np.asfortranarray(mask))
        ours = encode_run_lengths(mask)
        assert compressed(ours["counts"]) == theirs["counts"].decode()
        assert (expanded(theirs["counts"]), theirs["size"]) == (ours["counts"], ours["size"])
        for form in (ours, theirs, {**ours, "counts": compressed(ours["counts"])}):
            np.testing.assert_array_equal(decode_run_lengths(form), mask)


def test_long_runs_keep_all_their_bits():
    counts = [2**25, 1, 5, 2**25 - 7, 1]
    assert expanded(compressed(counts)) == counts
    theirs = peer.frPyObjects({"size": [2**13, 2**13], "counts": counts}, 2**13, 2**13)
    assert compressed(counts) == theirs["counts"].decode()


@pytest.mark.parametrize("kind", ["wild", "whole", "halves", "tiny", "thin", "doubled"])
def test_polygons_are_those_of_pycocotools(rng, kind):
    for _ in range(40):
        height, width = (int(side) for side in rng.integers(1, 40, 2))
        points = rng.uniform(-5, 45, 2 * rng.integers(3, 9))
        if kind in ("whole", "halves"):
            points = np.round(points * (2 if kind == "halves" else 1)) / (2 if kind == "halves" else 1)
        if kind == "tiny":
            points = 10 + points / 50
        if kind == "thin":
            points[1::2] = points[1]
        if kind == "doubled":
            points = np.repeat(points.reshape(-1, 2), 2, axis=0).ravel()
        [theirs] = peer.frPyObjects([points.tolist()], height, width)
        np.testing.assert_array_equal(polygon_mask(points, (height, width)), peer.decode(theirs), err_msg=str(points))


def test_a_square_holds_the_pixels_between_its_edges():
    expected = np.zeros((5, 6), np.uint8)
    expected[1:4, 2:5] = 1
    np.testing.assert_array_equal(polygon_mask([2, 1, 5, 1, 5, 4, 2, 4], (5, 6)), expected)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [
        ({}, "the size must be two positive numbers, got None"),
        ({"size": [2, 0], "counts": []}, r"the size must be two positive numbers, got \[2, 0\]"),
        ({"size": [True, 3], "counts": [3]}, "the size must be two positive numbers"),
        ({"size": [2**20, 2**20], "counts": [2**40]}, "a mask must have at most 67108864 pixels"),
        ({"size": [2, 3], "counts": [7]}, "the counts must have the sum 6, got 7"),
        ({"size": [2, 3], "counts": [7, -1]}, "the counts must be a string or whole numbers from 0"),
        ({"size": [2, 3], "counts": [6.0]}, "the counts must be a string or whole numbers from 0"),
        ({"size": [2, 3], "counts": None}, "the counts must be a string or whole numbers from 0, got None"),
        ({"size": [2, 3], "counts": "6 "}, "the counts must be a string of run lengths, got '6 '"),
        ({"size": [2, 3], "counts": "µ"}, "the counts must be a string of run lengths"),
        ({"size": [2, 3], "counts": "o"}, "the counts must end with a whole number, got 'o'"),
        ({"size": [2, 3], "counts": "o" * 9}, "the counts must be a string of run lengths"),
        ({"size": [2, 3], "counts": "O"}, "the counts must be a string or whole numbers from 0"),
    ],
)
def test_damaged_run_lengths_are_refused(lengths, message):
    with pytest.raises(DataError, match=f"^a.json: {message}"):
        decode_run_lengths(lengths, where="a.json")


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([1, 2, 3, 4], r"there must be at least 3 corners of 2 numbers each, got shape \[4\]"),
        ([1, 2, 3, 4, 5, 6, 7], "there must be at least 3 corners"),
        ([[1, 2], [3, 4], [5, 6]], "there must be at least 3 corners"),
        ([1, 2, 3, 4, 5, float("nan")], "the coordinates must be finite"),
        ([1, 2, 3, 4, 5, 1e30], "the coordinates must be finite and below"),
        ([1, 2, 3, 4, 5, "x"], "the coordinates must be numbers"),
        ([1, 2, [3], 4, 5, 6], "the coordinates must be numbers"),
        ([0, 0, 4e6, 0, 0, 4e6], "the border must have at most 16777216 points"),
    ],
)
def test_damaged_polygons_are_refused(points, message):
    with pytest.raises(DataError, match=f"^a.json: {message}"):
        polygon_mask(points, (4, 4), where="a.json")
