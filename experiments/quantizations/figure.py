"""What each form of the parameters costs: the headline against bytes."""

from collections.abc import Mapping, Sequence
from typing import Any


def quantization_figure(rows: Sequence[Mapping[str, Any]], *, headline: str, title: str) -> Any:
    """One point for each row, named at its side, over bytes on a logarithmic axis; a line at the float32 value."""
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    from fjdl.plots.style import BLUE, GREEN, MUTED, STYLE, VERMILION

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.0, 2.2 + 0.24 * len(rows)))
        axes, sizes = figure.subplots(1, 2, sharey=True)
        names, places = [row["parameters"] for row in rows], range(len(rows))
        colours = [MUTED if "float" in name[:7] else GREEN if "inputs" in name else BLUE for name in names]
        axes.axvline(rows[0][headline], color=VERMILION, linestyle=":", linewidth=1.2)
        axes.scatter([row[headline] for row in rows], places, color=colours, s=28)
        sizes.barh(places, [row["bytes"] / rows[0]["bytes"] for row in rows], color=colours, height=0.6)
        axes.set_yticks(places, names)
        axes.invert_yaxis()
        axes.set_xlabel(f"test {headline}")
        axes.xaxis.set_major_locator(MaxNLocator(4))
        sizes.set_xlabel("bytes, float32 = 1")
        figure.suptitle(title)
    return figure
