import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from scipy import optimize

from fjdl.optim import momentum, sgd
from fjdl.plots.pages.trajectories import (
    DESCENTS,
    LANDSCAPES,
    METHODS,
    beale,
    optimizer_panels,
    path,
    rosenbrock,
    saddle,
    two_valleys,
    well,
)

pytestmark = pytest.mark.slow  # pages of the documentation, which change seldom


@pytest.fixture(scope="module")
def page() -> Figure:
    figure = optimizer_panels()
    figure.savefig(io.BytesIO())
    return figure


def panel(page: Figure, title: str):
    (axes,) = [axes for axes in page.axes if axes.get_title().startswith(title)]
    return axes


def test_a_path_is_the_powers_of_one_minus_the_rate_on_a_bowl() -> None:
    points = path(lambda x: x**2 / 2, sgd(0.25), jnp.float32(2.0), steps=3)
    np.testing.assert_allclose(points, 2 * 0.75 ** np.arange(4), rtol=1e-6)


def test_a_path_in_the_plane_is_that_of_pytorch() -> None:
    point = torch.tensor([-1.2, 1.0], requires_grad=True)
    optimizer = torch.optim.SGD([point], lr=4e-4, momentum=0.9)
    expected = [point.tolist()]
    for _ in range(20):
        optimizer.zero_grad()
        ((1 - point[0]) ** 2 + 100 * (point[1] - point[0] ** 2) ** 2).backward()
        optimizer.step()
        expected.append(point.tolist())
    points = path(rosenbrock, momentum(4e-4), jnp.array([-1.2, 1.0]), steps=20)
    np.testing.assert_allclose(points, expected, rtol=2e-4, atol=1e-4)


def test_surfaces_are_those_of_the_books() -> None:
    points = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    np.testing.assert_allclose(jax.vmap(rosenbrock)(points[:, ::1]), optimize.rosen(points.T), rtol=1e-4)
    assert float(beale(jnp.array([3.0, 0.5]))) == 0
    assert float(beale(jnp.zeros(2))) == pytest.approx(1.5**2 + 2.25**2 + 2.625**2)
    assert float(well(jnp.float32(0.0))) == 0
    assert float(well(jnp.float32(1.0))) == pytest.approx(1 - np.exp(-0.5))


@pytest.mark.parametrize("landscape", LANDSCAPES, ids=lambda landscape: landscape.surface.__name__)
def test_stars_stand_where_the_gradient_is_zero_and_the_curvature_positive(landscape) -> None:
    for minimum in jnp.asarray(landscape.minima):
        np.testing.assert_allclose(jax.grad(landscape.surface)(minimum), 0, atol=1e-5)
        assert (np.linalg.eigvalsh(jax.hessian(landscape.surface)(minimum)) > 0).all()


def test_the_origin_is_a_saddle() -> None:
    np.testing.assert_allclose(np.linalg.eigvalsh(jax.hessian(saddle)(jnp.zeros(2))), [-1, 1])


def test_every_path_stays_in_its_panel_and_gets_lower(page: Figure) -> None:
    for landscape in LANDSCAPES:
        axes = panel(page, landscape.title + ", " + str(landscape.steps))
        ways = [line.get_xydata() for line in axes.lines if len(line.get_xdata()) == landscape.steps + 1]
        assert len(ways) == len(METHODS)
        for way in ways:
            low, high = np.transpose(landscape.shown)
            assert ((low <= way) & (way <= high)).all(), (landscape.title, way.min(0), way.max(0))
            first, last = (float(landscape.surface(jnp.asarray(way[k], jnp.float32))) for k in (0, -1))
            assert last < first


def test_the_panels_show_what_their_titles_say(page: Figure) -> None:
    small, fit, large, flat, past = ([line.get_xdata() for line in panel(page, d.title).lines] for d in DESCENTS)
    assert abs(small[1][-1]) > 1
    assert abs(fit[1][-1]) < 1e-3
    assert abs(large[1][-1]) > 2 * abs(large[1][0])
    assert (np.sign(large[1][1:]) != np.sign(large[1][:-1])).all()
    steps = np.abs(np.diff(flat[1]))
    assert steps.argmax() not in (0, len(steps) - 1)
    assert steps.max() > 10 * max(steps[0], steps[-1])
    lowest = optimize.minimize_scalar(
        lambda x: float(two_valleys(jnp.float32(x))), bounds=(-2.3, 0), method="bounded"
    ).x
    assert past[1][-1] == pytest.approx(lowest, abs=0.1)  # momentum
    assert past[3][-1] == pytest.approx(1.33, abs=0.05)  # plain descent


def test_titles_rates_and_legend_do_not_run_into_panels(page: Figure) -> None:
    boxes = [axes.get_tightbbox() for axes in page.axes]
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])
    (legend,) = page.legends
    assert not any(box.overlaps(legend.get_window_extent()) for box in boxes)
    for axes in page.axes:
        texts = [text.get_window_extent() for text in (*axes.texts, axes.title) if text.get_text()]
        for i, text in enumerate(texts):
            assert not any(text.overlaps(other) for other in texts[i + 1 :]), axes.get_title()
