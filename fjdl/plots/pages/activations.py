"""Every activation with its derivative, on one page."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fjdl.functional import activations, gates, rectifiers
from fjdl.plots.style import BLUE, MUTED, STYLE, VERMILION
from fjdl.typing import Array

_COLUMNS, _POINTS = 6, 401


class Panel(NamedTuple):
    """One function of one number."""

    name: str
    function: Callable[[Array], Array]
    note: str = ""
    kinks: tuple[float, ...] = ()
    range: tuple[float, float] = (-4.0, 4.0)


PANELS = (
    Panel("identity", activations.identity),
    Panel("relu", activations.relu, kinks=(0,)),
    Panel("leaky_relu", lambda x: rectifiers.leaky_relu(x, negative_slope=0.1), "slope 0.1", kinks=(0,)),
    Panel("prelu", lambda x: rectifiers.prelu(x, jnp.float32(0.25)), "learned slope, here 0.25", kinks=(0,)),
    Panel("relu6", rectifiers.relu6, kinks=(0, 6), range=(-4.0, 8.0)),
    Panel("maxout", lambda x: _maxout(x), "of −x − 1.5, 0 and x − 1", kinks=(-1.5, 1)),
    Panel("elu", rectifiers.elu),
    Panel("celu", lambda x: rectifiers.celu(x, alpha=2.0), "alpha 2"),
    Panel("selu", rectifiers.selu, kinks=(0,)),
    Panel("softplus", activations.softplus),
    Panel("gelu", gates.gelu),
    Panel("gelu_tanh", gates.gelu_tanh),
    Panel("silu", gates.silu),
    Panel("swish", lambda x: gates.swish(x, 3.0), "learned β, here 3"),
    Panel("mish", gates.mish),
    Panel("hard_swish", rectifiers.hard_swish, kinks=(-3, 3)),
    Panel("glu", lambda x: gates.glu(jnp.stack([jnp.ones_like(x), x]))[0], "of (1, x)"),
    Panel("softsign", activations.softsign),
    Panel("sigmoid", activations.sigmoid),
    Panel("hard_sigmoid", rectifiers.hard_sigmoid, kinks=(-3, 3)),
    Panel("log_sigmoid", activations.log_sigmoid),
    Panel("tanh", activations.tanh),
    Panel("hard_tanh", rectifiers.hard_tanh, kinks=(-1, 1)),
    Panel("erf", activations.erf),
    Panel("softshrink", rectifiers.softshrink, "threshold 0.5", kinks=(-0.5, 0.5), range=(-2.0, 2.0)),
    Panel("hardshrink", rectifiers.hardshrink, "threshold 0.5", kinks=(-0.5, 0.5), range=(-2.0, 2.0)),
    Panel("tanhshrink", activations.tanhshrink),
    Panel("softmax", lambda x: activations.softmax(jnp.stack([x, 0 * x, 0 * x]))[0], "of (x, 0, 0), first"),
    Panel("log_softmax", lambda x: activations.log_softmax(jnp.stack([x, 0 * x, 0 * x]))[0], "of (x, 0, 0), first"),
    Panel(
        name="sparsemax",
        function=lambda x: activations.sparsemax(jnp.stack([x, 0 * x, 0 * x]))[0],
        note="of (x, 0, 0), first",
        kinks=(-0.5, 1),
    ),
)


@matplotlib.rc_context(STYLE)
def activation_panels(*, title: str = "Activations and their derivatives") -> Figure:
    """One small panel for each activation of `fjdl.functional`: the function, its derivative, its gradient at kinks.

    The curves are what the functions and `jax.grad` return, so a dot at a kink is the gradient that training sees.
    """
    points = np.stack([_points(panel) for panel in PANELS])
    values, slopes = jax.tree.map(np.asarray, _curves(jnp.asarray(points, jnp.float32)))
    rows = -(-(len(PANELS) + 1) // _COLUMNS)
    figure = Figure(figsize=(2.05 * _COLUMNS, 1.85 * rows + 0.5))
    figure.suptitle(title)
    cells = figure.subplots(rows, _COLUMNS).ravel()
    for axes, panel, x, value, slope in zip(cells, PANELS, points, values, slopes, strict=False):
        _draw(axes, panel, x, value, slope)
    for axes in cells[len(PANELS) :]:
        axes.axis("off")
    cells[-1].legend(handles=_legend(), loc="center", fontsize=9)
    return figure


def _maxout(x: Array) -> Array:
    return rectifiers.maxout(x[None], jnp.array([[[-1.0, 0.0, 1.0]]]), jnp.array([[-1.5, 0.0, -1.0]]))[0]


def _points(panel: Panel) -> np.ndarray:
    """Evenly spaced numbers of the range, the ones nearest to kinks moved onto them."""
    x = np.linspace(*panel.range, _POINTS)
    for kink in panel.kinks:
        x[np.abs(x - kink).argmin()] = kink
    return x


@jax.jit
def _curves(points: Array) -> tuple[list[Array], list[Array]]:
    """Values and derivatives of every panel at its row of points."""
    rows = list(zip(PANELS, points, strict=True))
    values = [jax.vmap(panel.function)(x) for panel, x in rows]
    return values, [jax.vmap(jax.grad(panel.function))(x) for panel, x in rows]


def _draw(axes: Axes, panel: Panel, x: np.ndarray, value: np.ndarray, slope: np.ndarray) -> None:
    """The two curves, broken where they jump, and a dot for the gradient at each kink."""
    kinks = np.isin(x, panel.kinks)
    axes.axhline(0, color=MUTED, linewidth=0.7, zorder=1)
    axes.axvline(0, color=MUTED, linewidth=0.7, zorder=1)
    axes.plot(x, _broken(value, kinks), color=BLUE)
    axes.plot(x, _broken(slope, kinks), color=VERMILION, linewidth=1.4)
    axes.plot(x[kinks], slope[kinks], **_DOT)
    axes.set_title(panel.name, fontweight="bold", fontsize=9, pad=13)
    axes.text(0.5, 1.03, panel.note, transform=axes.transAxes, ha="center", fontsize=7, color=MUTED)
    axes.tick_params(labelsize=7, length=2)
    axes.locator_params(nbins=5, steps=[1, 2, 5, 10])


_DOT = {"color": VERMILION, "marker": "o", "markersize": 4.5, "markeredgecolor": "white", "linestyle": "", "zorder": 3}


def _broken(y: np.ndarray, kinks: np.ndarray) -> np.ndarray:
    """NaN at a kink across which `y` jumps."""
    jumps = np.abs(np.roll(y, -1) - np.roll(y, 1)) > 0.1
    return np.where(kinks & jumps, np.nan, y)


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], color=BLUE, label="function"),
        Line2D([], [], color=VERMILION, linewidth=1.4, label="derivative"),
        Line2D([], [], label="gradient at a kink", **_DOT),
    ]
