"""Answers beside the truth: what is drawn where, in which colour."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fjdl import metrics
from fjdl.plots import Drawn, boxes_figure, class_colours, precision_recall_figure, segments_figure

CLASSES = ("RBC", "WBC", "platelet")


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_each_case_is_an_image_its_truth_and_what_was_predicted() -> None:
    """The first half of the cases stands on the left, the others on the right."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 2, 4, 3), np.uint8)
    true, predicted = np.zeros((3, 2, 4), np.int32), np.full((3, 2, 4), 2, np.int32)
    true[1, 0, 0] = 255
    figure = segments_figure(
        images, true, predicted, captions=["worst: 0.1", "worst: 0.2", "best: 0.9"], classes=CLASSES, title="cells"
    )
    figure.savefig(io.BytesIO())
    drawn = [axes for axes in figure.axes if axes.images]
    assert len(drawn) == 9
    assert [axes.get_ylabel() for axes in drawn if axes.get_ylabel()] == ["worst: 0.1", "best: 0.9", "worst: 0.2"]
    heads = ["image", "truth", "prediction"]
    assert [axes.get_title() for axes in drawn if axes.get_title()] == heads * 2
    shown = {axes.get_ylabel(): number for number, axes in enumerate(drawn) if axes.get_ylabel()}
    second = shown["worst: 0.2"]
    truth, found = (np.asarray(drawn[second + k].images[0].get_array()) for k in (1, 2))
    colours = class_colours(3).tolist()
    assert (truth[0, 0].tolist(), truth[1, 3].tolist()) == ([224, 224, 192], colours[0])
    assert (found == colours[2]).all()
    assert legend(figure) == ["RBC", "platelet", "void"]


def test_boxes_stand_where_their_pixels_are_with_their_scores() -> None:
    images = np.zeros((1, 10, 20, 1), np.uint8)
    true = Drawn(np.array([[2.0, 3, 6, 7], [0, 0, 20, 10]]), np.array([1, 0]), ignored=np.array([False, True]))
    found = Drawn(np.array([[2.5, 3, 6, 8]]), np.array([1]), scores=np.array([0.876]))
    figure = boxes_figure(images, [true], [found], captions=["worst: 0.5"], classes=CLASSES, title="cells")
    figure.savefig(io.BytesIO())
    left, right = (axes for axes in figure.axes if axes.images)
    first, second = (patch for patch in left.patches if isinstance(patch, Rectangle))
    assert (first.get_xy(), first.get_width(), first.get_height()) == ((1.5, 2.5), 4, 4)
    assert [patch.get_linestyle() for patch in (first, second)] == ["-", ":"]
    colours = class_colours(3) / 255
    np.testing.assert_allclose(first.get_edgecolor()[:3], colours[1])
    [patch], [text] = right.patches, right.texts
    assert (patch.get_xy(), patch.get_width(), patch.get_height()) == ((2.0, 2.5), 3.5, 5)
    assert (text.get_text(), text.get_position()) == ("0.88", (2.0, 2.5))
    assert (left.texts[:], legend(figure)) == ([], ["RBC", "WBC"])


def test_the_curve_of_a_class_is_its_precision_at_each_recall() -> None:
    """Of two objects the first detection finds one, the second nothing, the third the other: 1/1, 1/2, 2/3."""
    boxes = np.array([[0.0, 0, 9, 9], [20, 0, 29, 9]])
    truth = [{"boxes": boxes, "labels": np.array([1, 1])}]
    found = [
        {
            "boxes": np.array([[0.0, 0, 9, 9], [50, 0, 59, 9], [20, 0, 29, 9]]),
            "scores": np.array([0.9, 0.8, 0.7]),
            "labels": np.array([1, 1, 1]),
        }
    ]
    curves = metrics.voc_curves(found, truth, classes=3)
    precision = metrics.voc_evaluation(found, truth, classes=3).all_points
    figure = precision_recall_figure(curves, precision.tolist(), classes=CLASSES, title="cells")
    figure.savefig(io.BytesIO())
    [line] = figure.axes[0].lines
    np.testing.assert_allclose(line.get_xdata(), [0, 50, 50, 100])
    np.testing.assert_allclose(line.get_ydata(), [100, 100, 50, 200 / 3])
    assert legend(figure) == ["WBC (83.3)"]
    assert figure.legends[0].get_title().get_text() == "average precision (%)\nmean 83.3"


def test_of_many_classes_the_best_and_the_worst_are_named() -> None:
    curve = metrics.voc_curves(
        [{"boxes": np.zeros((0, 4)), "scores": np.zeros(0), "labels": np.zeros(0, int)}],
        [{"boxes": np.array([[0.0, 0, 1, 1]]), "labels": np.array([0])}],
    )
    names = [f"class {k}" for k in range(20)]
    figure = precision_recall_figure(curve * 20, [k / 20 for k in range(20)], classes=names, title="many")
    named = [f"class {k} ({5 * k:.1f})" for k in (19, 18, 17, 16, 15, 14, 5, 4, 3, 2, 1, 0)]
    assert (legend(figure), len(figure.axes[0].lines)) == (named, 20)
    nothing = precision_recall_figure(curve, [float("nan")], classes=["a"], title="none")
    assert (nothing.legends, list(nothing.axes[0].lines)) == ([], [])


def test_arguments_that_do_not_fit_are_refused() -> None:
    image, none = np.zeros((1, 4, 4, 1), np.uint8), Drawn(np.zeros((0, 4)), np.zeros(0, int))
    with pytest.raises(ValueError, match=r"^true and found must be of 1 images each, got 1 and 0$"):
        boxes_figure(image, [none], [], captions=["a"], classes=CLASSES, title="")
    with pytest.raises(ValueError, match=r"^there must be 1 curves and precisions, got 0 and 1$"):
        precision_recall_figure([], [0.5], classes=["a"], title="")
    mask = np.zeros((1, 4, 4), np.int32)
    with pytest.raises(ValueError, match=r"^captions must name each of the 1 images, got 0 captions$"):
        segments_figure(image, mask, mask, captions=[], classes=CLASSES, title="")
