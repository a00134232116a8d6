import io

import numpy as np
import pytest
from matplotlib.figure import Figure

from fjdl.plots.pages.convergence import convergence_figure

pytestmark = pytest.mark.slow  # pages of the documentation, which change seldom

CURVES = {
    "first": np.array([[10.0, 80.0, 90.0], [20.0, 82.0, 91.0], [30.0, 84.0, 92.0]]),
    "second": np.array([[70.0, 75.0, 79.5]]),
    "third": np.array([[60.0, np.nan, 70.0], [61.0, 64.0, 68.0]]),
}


@pytest.fixture(scope="module")
def figure() -> Figure:
    figure = convergence_figure(CURVES, title="Optimizers", quantity="accuracy (%)")
    figure.savefig(io.BytesIO())
    return figure


def test_each_panel_has_its_mean_on_top_of_all_means(figure: Figure) -> None:
    assert [axes.get_title() for axes in figure.axes] == list(CURVES)
    for axes, curve in zip(figure.axes, CURVES.values(), strict=True):
        assert len(axes.lines) == len(CURVES) + 1
        np.testing.assert_array_equal(axes.lines[-1].get_xdata(), [1, 2, 3])
        np.testing.assert_allclose(axes.lines[-1].get_ydata(), curve.sum(axis=0) / len(curve))


def test_the_band_is_the_sample_standard_deviation_and_one_seed_has_none(figure: Figure) -> None:
    first, second, _ = figure.axes
    (band,) = first.collections
    vertices = band.get_paths()[0].vertices
    at_the_end = vertices[vertices[:, 0] == 3, 1]
    assert (at_the_end.min(), at_the_end.max()) == pytest.approx((90.0, 92.0))  # 90, 91, 92 deviate by 1
    assert not second.collections


def test_the_number_is_the_last_mean(figure: Figure) -> None:
    assert [axes.texts[0].get_text() for axes in figure.axes] == ["91.00", "79.50", "69.00"]


def test_a_bad_first_epoch_does_not_flatten_the_rest() -> None:
    curves = {str(name): np.array([[10.0, *np.linspace(80, 90, 19)]]) for name in range(3)}
    low, high = convergence_figure(curves, title="", quantity="").axes[0].get_ylim()
    assert 75 < low < 85
    assert 90 < high < 92


def test_many_panels_do_not_overlap() -> None:
    figure = convergence_figure({f"optimizer {n}": CURVES["first"] for n in range(7)}, title="Seven", quantity="y")
    figure.savefig(io.BytesIO())
    boxes = [axes.get_tightbbox() for axes in figure.axes if axes.axison]
    assert len(boxes) == 7
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


@pytest.mark.parametrize(
    ("curves", "rule"),
    [
        ({}, "curves must hold at least one optimizer, got none"),
        ({"a": np.zeros(3)}, "curves must have shapes"),
        ({"a": np.zeros((0, 3))}, "curves must have shapes"),
        ({"a": np.zeros((2, 3)), "b": np.zeros((2, 4))}, "with the same epochs, got .*'b': \\[2, 4\\]"),
        ({"a": np.full((2, 3), np.nan)}, "curves must hold a finite value, got none"),
    ],
)
def test_nothing_to_show_is_refused(curves: dict[str, np.ndarray], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        convergence_figure(curves, title="", quantity="")
