"""Matches and samples beside torchvision's `Matcher` and sampler and SSD's loop, written out on NumPy arrays."""

import jax
import numpy as np
import pytest

from fjdl import boxes
from fjdl.boxes import BACKGROUND, BETWEEN


def of_torchvision(quality: np.ndarray, low: float, high: float, *, low_quality: bool) -> np.ndarray:
    """`Matcher.__call__`, with the largest of equal overlaps that of lower number."""
    values, matches = quality.max(0), quality.argmax(0)
    every = matches.copy()
    matches[values < low] = BACKGROUND
    matches[(values >= low) & (values < high)] = BETWEEN
    if low_quality:
        places = np.nonzero(quality == quality.max(1)[:, None])[1]
        matches[places] = every[places]
    return matches


def overlaps(rng: np.random.Generator, objects: int = 4, anchors: int = 12) -> np.ndarray:
    """Multiples of 0.1, many of them equal; each object overlaps some anchor."""
    found = np.where(rng.random((objects, anchors)) < 0.4, rng.integers(1, 11, (objects, anchors)), 0)
    found[:, 0] = np.maximum(found[:, 0], 1)
    return (found / 10).astype(np.float32)


@pytest.mark.parametrize("low_quality", [False, True])
@pytest.mark.parametrize(("low", "high"), [(0.3, 0.7), (0.5, 0.5), (0.0, 1.0)])
def test_matches_are_those_of_torchvision(rng: np.random.Generator, low: float, high: float, low_quality: bool) -> None:
    for _ in range(20):
        given = overlaps(rng)
        found = boxes.match_by_threshold(given, low=low, high=high, low_quality=low_quality)
        expected = of_torchvision(given, np.float32(low), np.float32(high), low_quality=low_quality)
        np.testing.assert_array_equal(found, expected)


def test_padding_matches_nothing_and_changes_nothing(rng: np.random.Generator) -> None:
    given = overlaps(rng)
    padded, valid = np.concatenate([given, np.ones((2, 12), np.float32)]), np.arange(6) < 4
    for match in (lambda *args: boxes.match_by_threshold(*args, low_quality=True), boxes.match_bipartite):
        np.testing.assert_array_equal(match(padded, valid), match(given))
        np.testing.assert_array_equal(match(padded, np.zeros(6, bool)), np.full(12, BACKGROUND))
        np.testing.assert_array_equal(match(given[:0]), np.full(12, BACKGROUND))


def test_an_object_without_area_gets_no_match() -> None:
    """torchvision's `Matcher` then makes a match of every anchor that it does not overlap, which is all of them."""
    anchors = np.float32([[0, 0, 4, 4], [4, 0, 8, 4], [8, 0, 12, 4]])
    objects = np.float32([[0, 0, 4, 4], [5, 2, 5, 2]])
    given = boxes.pairwise_iou(objects, anchors)
    assert boxes.match_by_threshold(given, low_quality=True).tolist() == [0, BACKGROUND, BACKGROUND]
    assert of_torchvision(np.array(given), 0.4, 0.5, low_quality=True).tolist() == [0, 0, 0]
    assert boxes.match_bipartite(given).tolist() == [0, BACKGROUND, BACKGROUND]
    nan = np.float32([[np.nan, 0.6, np.nan]])
    assert boxes.match_by_threshold(nan, low_quality=True).tolist() == [BACKGROUND, 0, BACKGROUND]


def of_ssd(quality: np.ndarray, threshold: float) -> list[int]:
    """Caffe's `MatchBBox`: bipartite, then each anchor."""
    free, matches = quality.copy(), [BACKGROUND] * quality.shape[1]
    while free.size and free.max() > 0:
        i, j = np.unravel_index(free.argmax(), free.shape)
        matches[j] = int(i)
        free[i], free[:, j] = 0, 0
    for j, column in enumerate(quality.T):
        if matches[j] == BACKGROUND and column.max() >= np.float32(threshold):
            matches[j] = int(column.argmax())
    return matches


def test_bipartite_matches_are_those_of_ssd(rng: np.random.Generator) -> None:
    for _ in range(20):
        given = overlaps(rng)
        assert boxes.match_bipartite(given, threshold=0.5).tolist() == of_ssd(given, 0.5)
    many = overlaps(rng, 12, 4)  # more objects than anchors
    assert boxes.match_bipartite(many).tolist() == of_ssd(many, 0.5)


@pytest.mark.parametrize(
    ("objects", "background", "positive", "negative"), [(2, 30, 2, 6), (20, 12, 4, 4), (20, 2, 4, 2), (0, 3, 0, 3)]
)
def test_samples_have_the_numbers_of_torchvision(objects: int, background: int, positive: int, negative: int) -> None:
    matches = np.array([5] * objects + [BACKGROUND] * background + [BETWEEN] * (32 - objects - background), np.int32)
    chosen = [boxes.sample_balanced(jax.random.key(seed), matches, size=8) for seed in range(2)]
    for some, others in chosen:
        assert (some.sum(), others.sum()) == (positive, negative)
        assert np.all(matches[some] == 5)
        assert np.all(matches[others] == BACKGROUND)
    if positive < objects:
        assert np.any(chosen[0][0] != chosen[1][0])


def test_every_anchor_is_drawn_as_often() -> None:
    matches = np.array([0] * 6 + [BACKGROUND] * 6, np.int32)
    draw = jax.jit(jax.vmap(lambda key: boxes.sample_balanced(key, matches, size=6)))
    some, others = draw(jax.random.split(jax.random.key(0), 4000))
    np.testing.assert_allclose(np.mean(some | others, axis=0), np.full(12, 0.5), atol=0.04)  # 5 standard deviations


def test_hard_negatives_are_the_largest_losses_of_the_background() -> None:
    losses = np.float32([9, 1, 3, 3, np.nan, 2, 8])
    matches = np.array([0, -1, -1, -1, -1, -1, BETWEEN], np.int32)
    assert np.flatnonzero(boxes.hard_negatives(losses, matches, ratio=1.0)).tolist() == [2]
    assert np.flatnonzero(boxes.hard_negatives(losses, matches, ratio=3.0)).tolist() == [2, 3, 5]
    assert np.flatnonzero(boxes.hard_negatives(losses, matches, ratio=9.0)).tolist() == [1, 2, 3, 4, 5]
    none = np.where(matches == 0, BETWEEN, matches)
    assert not np.any(boxes.hard_negatives(losses, none))
    assert np.flatnonzero(boxes.hard_negatives(losses, none, least=2)).tolist() == [2, 3]


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda x: boxes.match_by_threshold(x, low=0.6, high=0.5), "low must be at most high, got 0.6 and 0.5"),
        (lambda x: boxes.match_by_threshold(x, high=2.0), r"high must lie in \[0, 1\], got 2.0"),
        (lambda x: boxes.match_bipartite(x, threshold=-1.0), r"threshold must lie in \[0, 1\], got -1.0"),
        (
            lambda x: boxes.sample_balanced(jax.random.key(0), x[0].astype(int), size=0),
            "size must be at least 1, got 0",
        ),
        (lambda x: boxes.hard_negatives(x[0], x[0].astype(int), ratio=-1.0), "ratio must be finite .* got -1.0"),
    ],
)
def test_wrong_options_are_refused(call, rule: str) -> None:
    with pytest.raises(ValueError, match=f"^{rule}$"):
        call(np.zeros((2, 3), np.float32))
