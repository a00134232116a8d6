import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from fjdl import metrics
from fjdl.plots import comparison_figure, reliability_figure, thresholds_figure

RECORDS: Sequence[dict[str, Any]] = [
    {"epoch": n, "step": n, "train_loss": 2 / n, "validation_loss": 3 / n, "validation_accuracy": n / 4} for n in (1, 2)
]


def test_bars_stand_at_their_confidence_and_the_error_is_told() -> None:
    above, below = reliability_figure([math.nan, 0.9], [math.nan, 0.5], [0, 10], title="digits").axes
    (bar,) = above.patches
    assert (bar.get_x(), bar.get_width(), bar.get_height()) == (50, 50, 50)
    assert below.patches[0].get_height() == 100
    legend = above.get_legend()
    assert legend is not None
    assert legend.get_title().get_text() == "calibration error 40 %"
    with pytest.raises(ValueError, match="at least one prediction"):
        reliability_figure([math.nan], [math.nan], [0], title="")


def curves(count: int) -> tuple[dict[str, Any], dict[str, Any], dict[str, tuple[float, float]]]:
    own, scores = np.array([True, False, True, False]), np.array([0.9, 0.6, 0.4, 0.1], np.float32)
    names = [f"class {number}" for number in range(count)]
    roc, precision_recall = metrics.roc_curve(own, scores), metrics.precision_recall_curve(own, scores)
    areas = {name: (0.75, 0.5 + 0.01 * number) for number, name in enumerate(names)}
    return dict.fromkeys(names, roc), dict.fromkeys(names, precision_recall), areas


def test_each_class_has_its_curve_in_percent_and_its_area() -> None:
    left, right = thresholds_figure(*curves(2), title="digits").axes
    np.testing.assert_allclose(left.get_lines()[1].get_ydata(), [0, 50, 50, 100, 100])
    np.testing.assert_allclose(left.get_lines()[1].get_xdata(), [0, 0, 50, 50, 100])
    legends = [axes.get_legend() for axes in (left, right)]
    told = [[text.get_text() for text in legend.get_texts()] for legend in legends if legend]
    assert told == [["class 0 (75.0)", "class 1 (75.0)"], ["class 0 (50.0)", "class 1 (51.0)"]]


def test_of_many_classes_the_weakest_are_named() -> None:
    legend = thresholds_figure(*curves(12), title="").axes[1].get_legend()
    assert legend is not None
    assert [text.get_text()[:8].strip() for text in legend.get_texts()] == [f"class {number}" for number in range(10)]
    with pytest.raises(ValueError, match="at least one class"):
        thresholds_figure({}, {}, {}, title="")


def test_runs_are_compared_in_the_same_axes() -> None:
    shorter = [{**RECORDS[0], "train_sample_accuracy": 0.5}]
    left, right = comparison_figure({"a": RECORDS, "b": shorter}, headline="accuracy", title="", percent=True).axes
    drawn = {str(line.get_label()): line for line in left.get_lines()}
    np.testing.assert_array_equal(drawn["a"].get_ydata(), [3, 1.5])
    np.testing.assert_array_equal(right.get_lines()[1].get_ydata(), [25, 50])
    assert [line.get_linestyle() for line in right.get_lines()] == ["--", "-", "--", "-"]
    np.testing.assert_array_equal(right.get_lines()[2].get_ydata(), [50])
    assert right.get_ylabel() == "accuracy (%), dashed: training"
    assert not np.array_equal(drawn["a"].get_color(), drawn["b"].get_color())
    assert len(comparison_figure({"a": RECORDS}, headline="loss", title="", percent=False).axes) == 1
    with pytest.raises(ValueError, match="records of at least one run"):
        comparison_figure({"a": []}, headline="loss", title="", percent=False)
