import inspect
import io

import numpy as np
import pytest
from matplotlib.figure import Figure

from fjdl.functional import activations, gates, rectifiers
from fjdl.plots.pages.activations import PANELS, activation_panels

pytestmark = pytest.mark.slow  # pages of the documentation, which change seldom


@pytest.fixture(scope="module")
def page() -> Figure:
    figure = activation_panels()
    figure.savefig(io.BytesIO())
    return figure


def panel(page: Figure, name: str):
    (axes,) = [axes for axes in page.axes if axes.get_title() == name]
    return axes


def test_every_public_activation_has_one_panel(page: Figure) -> None:
    names = [
        name
        for module in (activations, rectifiers, gates)
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]
    titles = [axes.get_title() for axes in page.axes if axes.get_title()]
    assert sorted(titles) == sorted(names)
    assert len(titles) == len(PANELS)


def test_the_curves_are_a_function_and_its_derivative(page: Figure) -> None:
    _, _, value, slope, *_ = panel(page, "tanh").lines  # after the two axes through 0
    x = value.get_xdata()
    np.testing.assert_allclose(value.get_ydata(), np.tanh(x), atol=1e-6)
    np.testing.assert_allclose(slope.get_ydata(), 1 - np.tanh(x) ** 2, atol=1e-6)


def test_the_dots_are_the_gradients_at_kinks(page: Figure) -> None:
    dots = {name: panel(page, name).lines[4].get_xydata().tolist() for name in ("relu", "relu6", "hard_swish", "gelu")}
    assert dots == {"relu": [[0, 0]], "relu6": [[0, 0], [6, 0]], "hard_swish": [[-3, 0], [3, 1]], "gelu": []}


def test_curves_are_broken_where_they_jump_and_nowhere_else(page: Figure) -> None:
    jumps = {
        name: [int(np.isnan(line.get_ydata()).sum()) for line in panel(page, name).lines[2:4]]
        for name in ("hardshrink", "relu", "elu", "silu")
    }
    assert jumps == {"hardshrink": [2, 2], "relu": [0, 1], "elu": [0, 0], "silu": [0, 0]}


def test_titles_and_notes_do_not_run_into_other_panels(page: Figure) -> None:
    boxes = [(axes.get_title(), axes.get_tightbbox()) for axes in page.axes if axes.get_title()]
    for i, (name, a) in enumerate(boxes):
        for other, b in boxes[i + 1 :]:
            assert not a.overlaps(b), f"{name} overlaps {other}"
