import io
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from experiments.pages.gallery import draw
from fjdl import schedules
from fjdl.plots.files import save
from fjdl.plots.pages.schedules import PANELS

pytestmark = pytest.mark.slow  # pages of the documentation, which change seldom


@pytest.fixture(scope="module")
def page() -> Figure:
    figure = draw("schedules")
    figure.savefig(io.BytesIO())
    return figure


def panel(page: Figure, name: str):
    (axes,) = [axes for axes in page.axes if axes.get_title() == name]
    return axes


def test_every_schedule_has_one_panel(page: Figure) -> None:
    titles = [axes.get_title() for axes in page.axes if axes.get_title()]
    assert sorted(titles) == sorted(set(schedules.__all__) - {"Schedule", "Step"})
    assert len(titles) == len(PANELS)


def test_the_curves_are_the_values_of_the_schedules(page: Figure) -> None:
    _, curve, other = panel(page, "linear").lines  # after the mark of step 100
    x = curve.get_xdata()
    np.testing.assert_allclose(curve.get_ydata(), np.maximum(1 - x / 100, 0), atol=1e-6)
    np.testing.assert_allclose(other.get_ydata(), np.maximum(1 - 0.7 * x / 100, 0.3), atol=1e-6)


def test_curves_are_broken_where_they_jump_and_nowhere_else(page: Figure) -> None:
    gaps = {name: int(np.isnan(panel(page, name).lines[1].get_ydata()).sum()) for name in schedules.__all__[2:]}
    assert {name: count for name, count in gaps.items() if count} == {
        "step_decay": 4, "piecewise_constant": 2, "cosine_restarts": 3, "join": 1,
    }  # fmt: skip


def test_titles_and_notes_do_not_run_into_other_panels(page: Figure) -> None:
    boxes = [(axes.get_title(), axes.get_tightbbox()) for axes in page.axes if axes.get_title()]
    for i, (name, a) in enumerate(boxes):
        for other, b in boxes[i + 1 :]:
            assert not a.overlaps(b), f"{name} overlaps {other}"
    notes = [[text.get_window_extent() for text in axes.texts] for axes in page.axes]
    assert not any(pair[0].overlaps(pair[1]) for pair in notes if len(pair) == 2)


def test_the_page_can_be_saved(page: Figure, tmp_path: Path) -> None:
    save(page, tmp_path / "schedules.png")
    assert (tmp_path / "schedules.png").stat().st_size > 10_000
