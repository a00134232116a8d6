"""Figures of searches: the numbers that are drawn."""

import io
from typing import Any

import numpy as np
import pytest

from fjdl.plots.sweeps.axis import axis_of
from fjdl.plots.sweeps.marginals import marginals
from fjdl.plots.sweeps.parallel import parallel_coordinates

POINTS: list[dict[str, Any]] = [
    {"rate": 0.01, "width": 8, "kind": "sgd", "shift": 1},
    {"rate": 0.1, "width": 12, "kind": "adam", "shift": 1},
    {"rate": 0.001, "width": 16, "kind": "sgd", "shift": 1},
]
SCORES = [0.9, 0.7, 0.5]


def test_axes_of_numbers_and_categories() -> None:
    rate, kind, shift = (axis_of([point[name] for point in POINTS]) for name in ("rate", "kind", "shift"))
    assert (rate.log, kind.log, axis_of([8, 80]).log, axis_of([0.0, 80.0]).log) == (True, False, False, False)
    np.testing.assert_allclose(rate.scaled, [0.5, 1, 0])
    rng = np.random.default_rng(0)  # drawn by its logarithm, and not
    assert (axis_of(list(10 ** rng.uniform(-4, -1, 32))).log, axis_of(list(rng.uniform(0.001, 0.5, 32))).log) == (
        True,
        False,
    )
    assert (kind.labels, kind.places.tolist()) == (("adam", "sgd"), [1, 0, 1])
    assert shift.scaled.tolist() == [0.5] * 3
    assert axis_of([True, False, True]).labels == ("False", "True")
    assert axis_of([None, 0.5]).labels == ("0.5", "None")


def test_marginals_have_a_panel_for_each_argument_with_each_score() -> None:
    figure = marginals(POINTS, SCORES, spreads=[0.1, 0, 0], epochs=[9, 9, 3], score="accuracy", title="t")
    figure.savefig(io.BytesIO())
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_xlabel() for axes in shown] == ["rate", "width", "kind", "shift"]
    assert [axes.get_xscale() for axes in shown] == ["log", "linear", "linear", "linear"]
    assert shown[0].get_ylabel() == "accuracy"
    dots = [line for line in shown[1].lines if line.get_marker() == "o"]
    drawn = {
        label: line.get_xydata().tolist() for label, line in zip(("given up", "trials", "best"), dots, strict=True)
    }
    assert drawn == {"given up": [[16, 0.5]], "trials": [[8, 0.9], [12, 0.7]], "best": [[8, 0.9]]}
    assert [text.get_text() for text in shown[2].get_xticklabels()] == ["adam", "sgd"]


@pytest.mark.parametrize("better", ["max", "min"])
def test_lines_go_through_the_values_of_a_trial_and_the_best_is_on_top(better: Any) -> None:
    figure = parallel_coordinates(POINTS, SCORES, score="accuracy", better=better, title="t")
    figure.savefig(io.BytesIO())
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["rate", "width", "kind", "shift", "accuracy"]
    lines = [line.get_ydata() for line in axes.lines if len(line.get_xdata()) == 5]
    np.testing.assert_allclose(lines[-1], [0.5, 0, 1, 0.5, 1] if better == "max" else [0, 1, 1, 0.5, 0])
    assert len(lines) == 3
    best = next(line for line in axes.lines if line.get_ydata() is lines[-1])
    assert best.get_color()[:3] == pytest.approx((0.993248, 0.906157, 0.143936))  # the bright end of viridis


def test_equal_scores_and_a_single_trial_are_drawn_and_none_is_refused() -> None:
    for figure in (
        parallel_coordinates(POINTS[:1], [0.5], score="s", title="t"),
        parallel_coordinates(POINTS, [0.5] * 3, score="s", title="t"),
        marginals(POINTS[:1], [0.5], score="s", title="t"),
    ):
        figure.savefig(io.BytesIO())
    for draw in (marginals, parallel_coordinates):
        with pytest.raises(ValueError, match="points must hold at least one trial, got none"):
            draw([], [], score="s", title="t")
