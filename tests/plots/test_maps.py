"""Figures of images, maps, attacks, points and units."""

import io
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from fjdl.plots import (
    adversarial_figure,
    histograms_figure,
    image_grid,
    maps_figure,
    points_figure,
    regions_figure,
    robustness_figure,
    units_figure,
)

IMAGES = np.linspace(0, 1, 3 * 4 * 4, dtype=np.float32).reshape(3, 4, 4, 1)
CAPTIONS = ["3 (0.99)", "3 → 8 (0.60)", "1 (1.00)"]


def drawn(figure: Figure) -> list[np.ndarray]:
    """The pictures in a figure that can be saved, colour bars apart."""
    figure.savefig(io.BytesIO())
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]


def titles(figure: Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


@pytest.mark.parametrize(("signed", "low"), [(True, -1), (False, 0)])
def test_each_map_is_a_share_of_its_own_largest_below_its_image(signed: bool, low: float) -> None:
    maps = np.zeros((3, 2, 2), np.float32)
    maps[0], maps[1, 0, 0], maps[1, 0, 1] = 0.25, -4, 2
    figure = maps_figure(IMAGES, maps, captions=CAPTIONS, title="a", label="share", signed=signed)
    pictures = drawn(figure)
    np.testing.assert_array_equal(pictures[3], np.ones((2, 2)))
    np.testing.assert_array_equal(pictures[4], [[-1, 0.5], [0, 0]])
    np.testing.assert_array_equal(pictures[5], np.zeros((2, 2)))
    assert {axes.images[0].get_clim() for axes in figure.axes[3:6]} == {(low, 1)}
    assert titles(figure) == CAPTIONS
    assert figure.axes[-1].get_ylabel() == "share"


@pytest.mark.by_day_on_pin(0)
def test_many_images_go_on_in_a_further_row_and_nan_is_drawn() -> None:
    images = np.ones((9, 2, 2, 3), np.float32)
    maps = np.full((9, 2, 2), np.nan, np.float32)
    figure = maps_figure(images, maps, captions=[str(k) for k in range(9)], title="a", label="b", signed=True)
    assert len(drawn(figure)) == 18
    assert titles(figure) == [str(k) for k in range(9)]


def test_a_region_is_bright_in_a_dark_image_within_its_box() -> None:
    regions, boxes = np.zeros((3, 4, 4), bool), np.zeros((3, 4), np.float32)
    regions[2, 1, 1:3], boxes[2] = True, (1, 1, 3, 2)
    figure = regions_figure(IMAGES, regions, boxes, captions=CAPTIONS, title="a")
    picture = drawn(figure)[5]
    np.testing.assert_allclose(picture / IMAGES[2, ..., 0], np.where(regions[2], 1, 0.35), rtol=1e-6)
    (box,) = figure.axes[5].patches
    assert (*box.get_xy(), box.get_width(), box.get_height()) == (0.5, 0.5, 2, 1)


@pytest.mark.by_day_on_pin(0)
def test_changes_have_one_scale_between_what_was_and_what_is() -> None:
    changed = IMAGES.copy()
    changed[1, 0, 0] += 0.5
    figure = adversarial_figure(IMAGES, changed, before=CAPTIONS, after=["8 (0.9)"] * 3, title="a", note="b")
    drawn(figure)
    np.testing.assert_allclose(figure.axes[4].images[0].get_clim(), (-0.5, 0.5), rtol=1e-6)
    assert titles(figure) == [*CAPTIONS, *["8 (0.9)"] * 3]
    still = adversarial_figure(IMAGES, IMAGES, before=CAPTIONS, after=CAPTIONS, title="a")
    assert len(drawn(still)) == 9


def test_grids_have_all_images_in_about_as_many_rows_as_columns() -> None:
    figure = image_grid(np.zeros((5, 2, 2, 1)), captions=list("abcde"), title="a", note="b")
    assert len(drawn(figure)) == 5
    assert titles(figure) == list("abcde")
    assert figure.get_supxlabel() == "b"


def test_robustness_is_a_line_for_each_attack() -> None:
    figure = robustness_figure([0.0, 0.1], {"FGSM": [1.0, 0.5], "PGD": [1.0, 0.25]}, title="a")
    lines = figure.axes[0].get_lines()
    assert [(line.get_label(), list(line.get_ydata())) for line in lines] == [("FGSM", [1, 0.5]), ("PGD", [1, 0.25])]
    with pytest.raises(ValueError, match=r"^accuracies must lie in \[0, 1\], one for each of 2 radii, got \[1.5, 0\]$"):
        robustness_figure([0.0, 0.1], {"FGSM": [1.5, 0]}, title="a")


def test_points_have_the_colour_of_their_class_and_its_name_at_their_middle() -> None:
    points, labels = np.array([[0, 0], [2, 4], [9, 9]], np.float32), np.array([0, 0, 2], np.int32)
    figure = points_figure(points, labels, classes=["cat", "dog", "cow"], title="a", xlabel="x", ylabel="y")
    figure.savefig(io.BytesIO())
    assert [(text.get_text(), tuple(text.xy)) for text in figure.axes[0].texts] == [("cat", (1, 2)), ("cow", (9, 9))]
    with pytest.raises(ValueError, match=r"^labels must lie in \[0, 2\), got 0 to 2$"):
        points_figure(points, labels, classes=["cat", "dog"], title="a", xlabel="x", ylabel="y")


def test_histograms_are_shares_by_layer_and_kind() -> None:
    counted: Any = (np.array([1, 3]), np.array([0.0, 1.0, 2.0]))
    rows = {"conv1": {"activations": counted}, "dense1": {"activations": counted, "parameters": counted}}
    figure = histograms_figure(rows, columns=("activations", "parameters"), title="a")
    figure.savefig(io.BytesIO())
    np.testing.assert_array_equal(figure.axes[0].patches[0].get_data().values, [0.25, 0.75])
    assert [axes.axison for axes in figure.axes] == [True, False, True, True]
    with pytest.raises(ValueError, match=r"^rows must hold at least one layer, got none$"):
        histograms_figure({}, columns=("a",), title="a")


def test_units_are_bars_of_means_and_of_those_that_are_always_so() -> None:
    figure = units_figure({"conv1": [1.0, 0.5], "dense1": [0.0]}, kind="zero", title="a")
    figure.savefig(io.BytesIO())
    assert [bar.get_width() for bar in figure.axes[0].patches] == [0.75, 0, 0.5, 0]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["conv1 (2)", "dense1 (1)"]
    with pytest.raises(ValueError, match=r"^shares must hold layers with at least one unit each, got \{'a': \[\]\}$"):
        units_figure({"a": []}, kind="zero", title="a")


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^images must have 1 or 3 channels, got 2$"):
        image_grid(np.zeros((1, 2, 2, 2)), captions=["a"], title="a")
    with pytest.raises(ValueError, match=r"^captions must name each of the 0 images, got 0 captions$"):
        image_grid(np.zeros((0, 2, 2, 1)), captions=[], title="a")
    with pytest.raises(ValueError, match=r"^maps_figure: argument `maps` must be .* with n=3, .* got f32\[2,2,2\]"):
        maps_figure(IMAGES, np.zeros((2, 2, 2), np.float32), captions=CAPTIONS, title="a", label="b", signed=True)
