"""A computation graph with the value and the gradient of every node."""

from collections import defaultdict

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fjdl.autodiff.graph import Graph, Node, short
from fjdl.plots.style import BLUE, GRID, INK, MUTED, STYLE, VERMILION

_WIDTH, _HEIGHT = 1.25, 1.0  # inches for a column of nodes, and for a row


def computation_graph(drawn: Graph, *, title: str) -> Figure:
    """Nodes in columns by their depth, data flowing right: values above the node, gradients below it."""
    places = layout(drawn)
    columns, rows = (1 + max(place[axis] for place in places) for axis in (0, 1))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH * columns + 0.6, _HEIGHT * rows + 1.0))
        axes = figure.add_subplot()
        axes.set(xlim=(-0.6, columns - 0.4), ylim=(-0.75, rows - 0.25), title=title)
        axes.set_axis_off()
        for start, end in drawn.edges:
            _arrow(axes, places[start], places[end])
        for node, place in zip(drawn.nodes, places, strict=True):
            _draw(axes, node, place)
        handles = [axes.plot([], [], color=color)[0] for color in (BLUE, VERMILION)]
        axes.legend(handles, ["value, forward", "gradient, backward"], loc="lower left", ncols=2)
    return figure


def layout(drawn: Graph) -> list[tuple[float, float]]:
    """A column and a row for each node: inputs stand one column before the first node that uses them."""
    first_use = {start: drawn.nodes[end].depth for start, end in reversed(drawn.edges)}
    columns: dict[int, list[int]] = defaultdict(list)
    for number, node in enumerate(drawn.nodes):
        columns[node.depth or first_use.get(number, 1) - 1].append(number)
    tallest = max(len(members) for members in columns.values())
    places = [(0.0, 0.0)] * len(drawn.nodes)
    for column, members in columns.items():
        for row, number in enumerate(members):
            places[number] = (float(column), tallest - 1 - row - (tallest - len(members)) / 2)
    return places


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    arrow = {"arrowstyle": "-|>", "color": MUTED, "shrinkA": 15, "shrinkB": 15, "linewidth": 1.0}
    axes.annotate("", xy=end, xytext=start, arrowprops=arrow)


def _draw(axes: Axes, node: Node, place: tuple[float, float]) -> None:
    leaf = node.depth == 0
    box = {"boxstyle": "round,pad=0.35" if leaf else "circle,pad=0.35", "facecolor": GRID if leaf else "white"}
    axes.text(*place, node.label, ha="center", va="center", color=INK, fontsize=10, bbox={**box, "edgecolor": MUTED})
    for text, color, offset in ((node.value, BLUE, 20), (node.gradient, VERMILION, -27)):
        axes.annotate(
            short(text), place, xytext=(0, offset), textcoords="offset points", ha="center", color=color, fontsize=8.5
        )
