"""Where a network looks: weights of attention as a picture."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from fjdl.plots.style import SEQUENTIAL, STYLE, colour_bar
from fjdl.typing import Array, Float, typed

_CELL = 0.32  # inches


@typed
@matplotlib.rc_context(STYLE)
def attention_figure(
    weights: Float[Array, "outputs inputs"], *, outputs: Sequence[str], inputs: Sequence[str], title: str
) -> Figure:
    """Weights by output token (row) and input token (column): the colour is the share of the row's attention.

    A row of zeros, of a token that may attend to none, is pale. Made for up to some 60 tokens: the figure grows with
    their number. Raises `ValueError` unless each row and column has one token and all weights lie in [0, 1].
    """
    shares = np.asarray(weights, np.float64)
    for name, tokens, count in (("outputs", outputs, shares.shape[0]), ("inputs", inputs, shares.shape[1])):
        if len(tokens) != count or not tokens:
            raise ValueError(f"{name} must name each of the {count} tokens, got {len(tokens)} names")
    if not np.all((shares >= 0) & (shares <= 1 + 1e-2)):  # bfloat16 rounds that much
        raise ValueError(f"weights must lie in [0, 1], got {shares.min()} to {shares.max()}")
    longest = [0.09 * max(map(len, tokens)) for tokens in (outputs, inputs)]  # inches
    width, height = _CELL * len(inputs) + longest[0] + 1.8, _CELL * len(outputs) + longest[1] + 1.2
    figure = Figure(figsize=(max(width, 3.2), max(height, 2.2)))
    figure.suptitle(title)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap=SEQUENTIAL, vmin=0, vmax=1)
    axes.set(xlabel="input token", ylabel="output token")
    axes.set_xticks(range(len(inputs)), inputs, rotation=90)
    axes.set_yticks(range(len(outputs)), outputs)
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    colour_bar(figure, image, axes, label="share of attention", aspect=25, pad=0.02, format=PercentFormatter(1))
    return figure
