import io
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure

from fjdl.plots import mistakes

DIGITS = [str(k) for k in range(10)]


def draw(true: list[int], predicted: list[int], confidence: list[float], **options: object) -> Figure:
    """Image number k of the set is all k."""
    images = np.broadcast_to(np.arange(len(true), dtype=np.uint8)[:, None, None, None], (len(true), 4, 4, 1))
    given = {"images": images, "classes": DIGITS, "title": "test set"} | options
    return mistakes(
        given.pop("images"),
        np.array(true, np.int32),
        np.array(predicted, np.int32),
        np.array(confidence, np.float32),
        **given,
    )


def captions(figure: Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes if axes.images]


def test_only_the_wrong_ones_are_shown_the_most_confident_first() -> None:
    figure = draw([3, 1, 5, 7], [8, 1, 6, 2], [0.6, 0.99, 0.95, 0.7])
    assert captions(figure) == ["5 → 6 (0.95)", "7 → 2 (0.70)", "3 → 8 (0.60)"]
    shown = [float(np.asarray(axes.images[0].get_array()).flat[0]) for axes in figure.axes if axes.images]
    np.testing.assert_allclose(shown, [2 / 3, 1, 0])  # images 2, 3 and 0 of the set


def test_equal_confidences_keep_the_order_of_the_set_and_nan_comes_last() -> None:
    figure = draw([1, 2, 3, 4], [0, 0, 0, 0], [np.nan, 0.5, 0.9, 0.5])
    assert captions(figure) == ["3 → 0 (0.90)", "2 → 0 (0.50)", "4 → 0 (0.50)", "1 → 0 (nan)"]


def test_at_most_so_many_are_shown_and_all_are_counted() -> None:
    figure = draw([0] * 40, [1] * 30 + [0] * 10, [0.5] * 40)
    assert len(captions(figure)) == 25
    assert figure.get_supxlabel() == "30 of 40 wrong, 25 shown"
    assert len(captions(draw([0] * 40, [1] * 40, [0.5] * 40, most=3))) == 3


@pytest.mark.parametrize("size", [0, 5])
def test_a_perfect_classifier_and_an_empty_set_give_an_empty_grid(size: int) -> None:
    figure = draw([2] * size, [2] * size, [1.0] * size)
    figure.savefig(io.BytesIO())
    assert captions(figure) == []
    assert figure.get_supxlabel() == f"0 of {size} wrong"


def test_a_label_outside_of_the_classes_is_no_other_class() -> None:
    assert captions(draw([2, 12], [-1, 3], [0.8, 0.7])) == ["2 → ? (0.80)", "? → 3 (0.70)"]


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_stretched_between_their_extremes_and_nan_is_the_lowest(channels: int) -> None:
    images = np.full((2, 1, 3, channels), -1.0)
    images[0, 0, 0], images[0, 0, 1] = 3.0, np.nan
    figure = draw([0, 0], [1, 1], [0.9, 0.8], images=images)
    figure.savefig(io.BytesIO())
    first = np.asarray(figure.axes[0].images[0].get_array())
    np.testing.assert_array_equal(first.reshape(3, channels), np.repeat([[1.0], [0.0], [0.0]], channels, axis=1))


def test_images_of_one_value_are_drawn() -> None:
    figure = draw([0], [1], [0.9], images=np.full((1, 2, 2, 3), 7.0))
    figure.savefig(io.BytesIO())
    assert captions(figure) == ["0 → 1 (0.90)"]


@pytest.mark.parametrize(
    "classes", [["3", "8"], ["pottedplant", "diningtable"], ["bull mastiff", "German shepherd dog"]]
)
def test_captions_do_not_run_into_each_other(classes: list[str]) -> None:
    figure = draw([0] * 9, [1] * 9, [0.5] * 9, classes=classes)
    figure.savefig(io.BytesIO())
    boxes = [axes.title.get_window_extent() for axes in figure.axes[:3]]
    assert all(a.x1 < b.x0 for a, b in pairwise(boxes))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": np.zeros((1, 4, 4, 2))}, "images must have 1 or 3 channels, got 2"),
        ({"images": np.zeros((2, 4, 4, 1))}, "argument `true` must be"),
        ({"most": 0}, "most must be at least 1, got 0"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw([0], [1], [0.5], **options)
