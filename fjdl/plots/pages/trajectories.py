"""How optimizers move: the paths of the library's own optimizers on curves and surfaces, on one page."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import optax
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fjdl.optim import adagrad, adam, momentum, nesterov, rmsprop, sgd
from fjdl.optim.base import LearningRate
from fjdl.plots.style import BLUE, GREEN, INK, MUTED, ORANGE, PURPLE, STYLE, VERMILION
from fjdl.typing import Array, Float, Scalar

Surface = Callable[[Array], Scalar]


class Method(NamedTuple):
    """An optimizer with its colour."""

    name: str
    factory: Callable[[LearningRate], optax.GradientTransformation]
    colour: str


METHODS = (
    Method("sgd", sgd, INK),
    Method("momentum", momentum, ORANGE),
    Method("nesterov", nesterov, VERMILION),
    Method("adagrad", adagrad, PURPLE),
    Method("rmsprop", rmsprop, GREEN),
    Method("adam", adam, BLUE),
)


class Descent(NamedTuple):
    """Plain gradient descent, or one with momentum, on a curve."""

    title: str
    curve: Surface
    start: float
    steps: int
    runs: tuple[tuple[str, optax.GradientTransformation, str], ...]  # label, optimizer, colour
    shown: tuple[float, float]


class Landscape(NamedTuple):
    """A surface over the plane, on which all methods start at one point."""

    title: str
    surface: Surface
    start: tuple[float, float]
    steps: int
    rates: tuple[float, ...]  # one for each of METHODS
    minima: tuple[tuple[float, float], ...]
    shown: tuple[tuple[float, float], tuple[float, float]]  # of each coordinate


def path(
    surface: Surface, optimizer: optax.GradientTransformation, start: Float[Array, "*shape"], *, steps: int
) -> Float[Array, "points *shape"]:
    """The steps + 1 points that the optimizer visits from `start` on, with the exact gradient of the surface."""

    def step(carry: tuple[Array, Any], _: None) -> tuple[tuple[Array, Any], Array]:
        point, state = carry
        updates, state = optimizer.update(jax.grad(surface)(point), state, point)
        return (point + jnp.asarray(updates), state), point

    (last, _), points = jax.lax.scan(step, (start, optimizer.init(start)), length=steps)
    return jnp.concatenate([points, last[None]])


def bowl(x: Array) -> Scalar:
    """x² / 2, where a rate below 1 goes straight down, below 2 swings and ends, and above 2 climbs."""
    return x**2 / 2


def well(x: Array) -> Scalar:
    """1 − exp(−x² / 2): flat far away, steep at |x| = 1, flat at the minimum 0."""
    return -jnp.expm1(-(x**2) / 2)


def two_valleys(x: Array) -> Scalar:
    """x⁴ / 4 − x² + 0.3 x: a local minimum near 1.33, a hill near 0.15 and the lowest point near −1.48."""
    return x**4 / 4 - x**2 + 0.3 * x


def saddle(point: Array) -> Scalar:
    """x² / 2 − y² / 2 + y⁴ / 4: a saddle at the origin between the minima (0, ±1)."""
    x, y = point
    return x**2 / 2 - y**2 / 2 + y**4 / 4


def rosenbrock(point: Array) -> Scalar:
    """(1 − x)² + 100 (y − x²)², with the minimum 0 at (1, 1) of a curved valley; Rosenbrock 1960."""
    x, y = point
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def beale(point: Array) -> Scalar:
    """(1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)², with the minimum 0 at (3, 0.5); Beale 1958."""
    x, y = point
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


DESCENTS = (
    Descent("rate too small: 0.05", bowl, -2.0, 12, (("", sgd(0.05), BLUE),), (-2.6, 2.6)),
    Descent("rate that fits: 0.6", bowl, -2.0, 12, (("", sgd(0.6), GREEN),), (-2.6, 2.6)),
    Descent("rate too large: 2.1", bowl, -1.1, 8, (("", sgd(2.1), VERMILION),), (-2.6, 2.6)),
    Descent("flat and steep, rate 0.8", well, 3.0, 32, (("", sgd(0.8), BLUE),), (-1.6, 3.4)),
    Descent(
        "past a local minimum",
        two_valleys,
        2.4,
        60,
        (("momentum", momentum(0.02), ORANGE), ("sgd", sgd(0.02), INK)),
        (-2.35, 2.55),
    ),
)

LANDSCAPES = (
    Landscape(
        "off a saddle",
        saddle,
        start=(-1.6, 0.001),
        steps=60,
        rates=(0.1, 0.05, 0.05, 0.2, 0.05, 0.05),
        minima=((0.0, 1.0), (0.0, -1.0)),
        shown=((-1.8, 1.0), (-0.35, 1.5)),
    ),
    Landscape(
        "along Rosenbrock's valley",
        rosenbrock,
        start=(-1.2, 1.0),
        steps=600,
        rates=(0.002, 4e-4, 4e-4, 0.3, 0.02, 0.1),
        minima=((1.0, 1.0),),
        shown=((-1.7, 1.5), (-0.6, 1.8)),
    ),
    Landscape(
        "down Beale's slopes",
        beale,
        start=(1.0, 1.6),
        steps=150,
        rates=(0.01, 0.002, 0.002, 0.5, 0.05, 0.1),
        minima=((3.0, 0.5),),
        shown=((-0.3, 3.9), (-1.9, 2.0)),
    ),
)


@matplotlib.rc_context(STYLE)
def optimizer_panels(*, title: str = "Optimizers on their way down") -> Figure:
    """Nine panels: learning rates, flat and steep ground, momentum, a saddle, two valleys and the loss in one of them.

    Every path is a run of `fjdl.optim` on the exact gradient, from the large square or first dot to the large dot at
    its end. Each method has its own rate on each surface, which stands there, so that the paths show characters and no
    ranking.
    """
    descents, ways = jax.tree.map(np.asarray, _runs())
    figure = Figure(figsize=(12.3, 11.6))
    figure.suptitle(title)
    cells = figure.subplots(3, 3).ravel()
    for axes, descent, points in zip(cells, DESCENTS, descents, strict=False):
        _draw_descent(axes, descent, points)
    for axes, landscape, paths in zip(cells[len(DESCENTS) :], LANDSCAPES, ways, strict=False):
        _draw_landscape(axes, landscape, paths)
    _draw_losses(cells[-1], LANDSCAPES[-1], ways[-1])
    figure.legend(handles=[*cells[-1].lines, *_marks()], loc="outside lower center", ncols=len(METHODS) + 3)
    return figure


@jax.jit
def _runs() -> tuple[list[list[Array]], list[list[Array]]]:
    """The paths of all panels as one program."""
    descents = [
        [path(d.curve, optimizer, jnp.float32(d.start), steps=d.steps) for _, optimizer, _ in d.runs] for d in DESCENTS
    ]
    ways = [
        [
            path(place.surface, method.factory(rate), jnp.asarray(place.start), steps=place.steps)
            for method, rate in zip(METHODS, place.rates, strict=True)
        ]
        for place in LANDSCAPES
    ]
    return descents, ways


def _draw_descent(axes: Axes, descent: Descent, paths: list[np.ndarray]) -> None:
    """The curve, and on it the points of each run, joined in their order."""
    x = np.linspace(*descent.shown, 301)
    axes.plot(x, _heights(descent.curve, x), color=MUTED, linewidth=1.2, zorder=1)
    for (label, _, colour), points in zip(descent.runs, paths, strict=True):
        y = _heights(descent.curve, points)
        axes.plot(points, y, color=colour, marker="o", linewidth=0.9, label=label, **_DOTS)
        axes.plot(points[-1], y[-1], color=colour, marker="o", markersize=9, **_EDGE)
    axes.set(xlabel="parameter", ylabel="loss")
    axes.set_title(f"{descent.title}, {descent.steps} steps", fontweight="bold")
    if len(paths) > 1:
        axes.legend()


def _draw_landscape(axes: Axes, landscape: Landscape, ways: list[np.ndarray]) -> None:
    """Contours, a star at each minimum, and the path of each method from the start to its end."""
    x, y = (np.linspace(*interval, 161) for interval in landscape.shown)
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    z = _heights(landscape.surface, grid.reshape(-1, 2)).reshape(grid.shape[:2])
    levels = np.quantile(z, np.linspace(0, 1, 15))  # equal areas between them, whatever the surface
    axes.contourf(x, y, z, levels=levels, norm=BoundaryNorm(levels, 256), cmap="Greys", alpha=0.3, zorder=0)
    axes.contour(x, y, z, levels=levels[1:-1], colors="white", linewidths=0.6, zorder=0)
    for method, points in zip(METHODS, ways, strict=True):
        axes.plot(*points.T, color=method.colour, linewidth=1.4)
        axes.plot(*points[-1], color=method.colour, marker="o", markersize=8, **_EDGE)
    axes.plot(*landscape.start, **_START)
    for minimum in landscape.minima:
        axes.plot(*minimum, **_MINIMUM)
    axes.set(xlim=landscape.shown[0], ylim=landscape.shown[1], xlabel="x", ylabel="y")
    axes.set_title(f"{landscape.title}, {landscape.steps} steps", fontweight="bold", pad=17)
    _write_rates(axes, landscape.rates)
    axes.grid(visible=False)


def _write_rates(axes: Axes, rates: tuple[float, ...]) -> None:
    """Each in the colour of its method, above the panel."""
    axes.text(0.0, 1.02, "rates", transform=axes.transAxes, fontsize=8, color=MUTED)
    for number, (method, rate) in enumerate(zip(METHODS, rates, strict=True)):
        place = 0.13 + 0.15 * number
        axes.text(place, 1.02, f"{rate:g}", transform=axes.transAxes, fontsize=8, color=method.colour)


def _draw_losses(axes: Axes, landscape: Landscape, ways: list[np.ndarray]) -> None:
    """The height of each path, step by step."""
    for method, points in zip(METHODS, ways, strict=True):
        axes.semilogy(_heights(landscape.surface, points), color=method.colour, label=method.name)
    axes.set(xlabel="step", ylabel="loss")
    axes.set_title(f"{landscape.title}, loss by step", fontweight="bold", pad=17)


def _heights(surface: Surface, points: np.ndarray) -> np.ndarray:
    return np.asarray(jax.vmap(surface)(jnp.asarray(points, jnp.float32)))


def _marks() -> list[Line2D]:
    """What the signs on surfaces mean."""
    end = Line2D([], [], color=MUTED, marker="o", markersize=8, label="end", **_EDGE)
    return [Line2D([], [], label="start", **_START), end, Line2D([], [], label="minimum", **_MINIMUM)]


_DOTS: dict[str, Any] = {"markersize": 4.5, "markeredgecolor": "white", "markeredgewidth": 0.5, "zorder": 3}
_EDGE: dict[str, Any] = {"markeredgecolor": "white", "linestyle": "", "zorder": 4}
_START: dict[str, Any] = {**_EDGE, "color": INK, "marker": "s", "markersize": 7}
_STAR = {"color": "white", "marker": "*", "markersize": 13, "markeredgecolor": INK}
_MINIMUM: dict[str, Any] = {**_STAR, "linestyle": "", "zorder": 5}
