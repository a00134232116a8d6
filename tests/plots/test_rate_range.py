import io

import numpy as np
import pytest
from matplotlib.figure import Figure

from fjdl.plots.rate_range import range_figure

RATES = np.geomspace(1e-4, 1.0, 5)
LOSSES = np.array([2.0, 1.5, 1.0, 1.2, np.inf])


@pytest.fixture(scope="module")
def figure() -> Figure:
    suggestions = {"steepest": 1e-3, "largest": float("nan")}
    figure = range_figure(RATES, LOSSES, LOSSES, suggestions=suggestions, title="Range test")
    figure.savefig(io.BytesIO())
    return figure


def test_the_curves_are_the_losses_on_a_logarithmic_axis_with_a_gap_at_infinity(figure: Figure) -> None:
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    for line in axes.lines[:2]:
        np.testing.assert_array_equal(line.get_xdata(), RATES)
        np.testing.assert_array_equal(line.get_ydata(), [2.0, 1.5, 1.0, 1.2, np.nan])


def test_a_suggestion_is_a_line_with_its_rate_and_one_of_nan_is_none(figure: Figure) -> None:
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["each batch", "smoothed", "steepest, 1.0e-03"]
    assert list(axes.lines[2].get_xdata()) == [1e-3, 1e-3]


def test_the_legend_hides_no_curve(figure: Figure) -> None:
    (axes,), (legend,) = figure.axes, figure.legends
    assert not axes.get_tightbbox().overlaps(legend.get_window_extent())


def test_a_divergence_does_not_flatten_the_rest() -> None:
    losses = np.array([2.0, 1.5, 1.0, 1.2, 1e9])
    (axes,) = range_figure(RATES, losses, losses, suggestions={}, title="").axes
    low, high = axes.get_ylim()
    assert low < 1.0
    assert 2.0 < high < 4.0


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(ValueError, match="smoothed must hold a finite loss, got none among 2"):
        range_figure(RATES[:2], LOSSES[:2], np.full(2, np.nan), suggestions={}, title="")
