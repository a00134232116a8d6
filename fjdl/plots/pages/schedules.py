"""Every schedule, on one page."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fjdl import schedules
from fjdl.plots.style import BLUE, MUTED, STYLE, VERMILION
from fjdl.schedules import Schedule

_COLUMNS, _STEPS, _SHOWN = 5, 100, 120


class Panel(NamedTuple):
    """A factory of schedules: one of its schedules with a note, or two."""

    name: str
    curves: tuple[tuple[str, Schedule], ...]


PANELS = (
    Panel("constant", (("", schedules.constant(1.0)),)),
    Panel("linear", (("final 0", schedules.linear(peak=1.0, steps=_STEPS)),
                     ("final 0.3", schedules.linear(peak=1.0, steps=_STEPS, final=0.3)))),
    Panel("polynomial", (("power 2", schedules.polynomial(peak=1.0, steps=_STEPS, power=2.0)),
                         ("power 0.5", schedules.polynomial(peak=1.0, steps=_STEPS, power=0.5)))),
    Panel("cosine", (("final 0", schedules.cosine(peak=1.0, steps=_STEPS)),
                     ("final 0.3", schedules.cosine(peak=1.0, steps=_STEPS, final=0.3)))),
    Panel("exponential", (("rate 0.03", schedules.exponential(peak=1.0, rate=0.03)),
                          ("rate 0.1", schedules.exponential(peak=1.0, rate=0.1)))),
    Panel("geometric", (("0.5 in 20, floor 0.2", schedules.geometric(start=1.0, factor=0.5, every=20, final=0.2)),)),
    Panel("inverse_time", (("rate 0.03", schedules.inverse_time(peak=1.0, rate=0.03)),
                           ("rate 0.1", schedules.inverse_time(peak=1.0, rate=0.1)))),
    Panel("inverse_sqrt", (("", schedules.inverse_sqrt(peak=1.0)),)),
    Panel("step_decay", (("every 30, factor 0.5", schedules.step_decay(peak=1.0, every=30, factor=0.5)),)),
    Panel("piecewise_constant", (
        ("values 1, 0.6, 0.2", schedules.piecewise_constant(values=[1.0, 0.6, 0.2], boundaries=[50, 80])),
    )),
    Panel("cosine_restarts", (("multiplier 1", schedules.cosine_restarts(peak=1.0, steps=40)),
                              ("multiplier 2", schedules.cosine_restarts(peak=1.0, steps=20, multiplier=2)))),
    Panel("cyclic", (("triangles", schedules.cyclic(low=0.1, high=1.0, rise=20)),
                     ("cycle factor 0.5", schedules.cyclic(low=0.1, high=1.0, rise=20, cycle_factor=0.5)))),
    Panel("one_cycle", (("peak at 0.3", schedules.one_cycle(peak=1.0, steps=_STEPS)),
                        ("peak at 0.5", schedules.one_cycle(peak=1.0, steps=_STEPS, rising=0.5)))),
    Panel("one_cycle_momentum", (("turn at 0.3", schedules.one_cycle_momentum(steps=_STEPS)),
                                 ("turn at 0.5", schedules.one_cycle_momentum(steps=_STEPS, rising=0.5)))),
    Panel("warmup", (("of constant", schedules.warmup(schedules.constant(1.0), steps=20)),
                     ("of exponential",
                      schedules.warmup(schedules.exponential(peak=1.0, rate=0.05), steps=20, start=0.2)))),
    Panel("warmup_cosine", (("", schedules.warmup_cosine(peak=1.0, warmup_steps=20, steps=_STEPS)),)),
    Panel("warmup_inverse_sqrt", (("", schedules.warmup_inverse_sqrt(peak=1.0, warmup_steps=20)),)),
    Panel("join", (("constant, then cosine", schedules.join(
        [schedules.constant(1.0), schedules.cosine(peak=0.5, steps=60)], boundaries=[40])),)),
)  # fmt: skip


@matplotlib.rc_context(STYLE)
def schedule_panels(*, title: str = "Learning-rate schedules") -> Figure:
    """One small panel for each factory of `fjdl.schedules`: the rate at the steps 0 to 120, with peak 1.

    A dotted line marks step 100, the last of schedules that end; jumps are left open.
    """
    steps = np.arange(_SHOWN + 1)
    values = jax.tree.map(np.asarray, _curves(jnp.asarray(steps, jnp.int32)))
    rows = -(-(len(PANELS) + 1) // _COLUMNS)
    figure = Figure(figsize=(2.05 * _COLUMNS, 1.75 * rows + 0.5))
    figure.suptitle(title)
    cells = figure.subplots(rows, _COLUMNS).ravel()
    for axes, panel, curves in zip(cells, PANELS, values, strict=False):
        _draw(axes, panel, steps, curves)
    for axes in cells[len(PANELS) :]:
        axes.axis("off")
    cells[-1].legend(handles=_legend(), loc="center", fontsize=9)
    return figure


@jax.jit
def _curves(steps: jax.Array) -> list[list[jax.Array]]:
    """The values of every schedule of every panel."""
    return [[jax.vmap(schedule)(steps) for _, schedule in panel.curves] for panel in PANELS]


def _draw(axes: Axes, panel: Panel, steps: np.ndarray, curves: list[np.ndarray]) -> None:
    """One or two curves, each with its note in its own colour."""
    axes.axvline(_STEPS, color=MUTED, linestyle=":", linewidth=1.0, zorder=1)
    places = ((0.0, "left"), (1.0, "right")) if len(curves) > 1 else ((0.5, "center"),)
    for (note, _), y, colour, (place, side) in zip(panel.curves, curves, (BLUE, VERMILION), places, strict=False):
        axes.plot(*_opened(steps, y), color=colour, linewidth=1.6)
        axes.text(place, 1.03, note, transform=axes.transAxes, ha=side, fontsize=7, color=colour)
    if max(map(np.max, curves)) > 0.99:
        axes.set_ylim(-0.05, 1.08)
    axes.set_title(panel.name, fontweight="bold", fontsize=9, pad=13)
    axes.tick_params(labelsize=7, length=2)
    axes.locator_params(nbins=5, steps=[1, 2, 5, 10])


def _opened(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The curve with a gap before each point that it jumps to: a step far larger than both beside it."""
    heights = np.pad(np.abs(np.diff(y)), 1)
    jumps = np.flatnonzero(heights[1:-1] > 0.02 + 4 * np.maximum(heights[:-2], heights[2:])) + 1
    return np.insert(x.astype(np.float64), jumps, np.nan), np.insert(y.astype(np.float64), jumps, np.nan)


def _legend() -> list[Line2D]:
    return [
        Line2D([], [], color=BLUE, label="value at each step"),
        Line2D([], [], color=VERMILION, label="with other options"),
        Line2D([], [], color=MUTED, linestyle=":", linewidth=1.0, label="step 100"),
    ]
