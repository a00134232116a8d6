"""Bits of its own for each layer, under a budget of bytes, by what each layer loses alone."""

from collections.abc import Mapping
from typing import Any, NamedTuple

CHOICES = (8, 4, 3, 2)


class Mixed(NamedTuple):
    """The error of the outputs by layer and bits, where this layer alone is rounded, and the bits that were chosen."""

    errors: Mapping[str, Mapping[int, float]]
    bits: Mapping[str, int]


def mixed_bits(run: Any, options: Any) -> Mixed:
    """Of the run's network, on training examples; raises `UsageError` for a budget that the fewest bits exceed."""
    from experiments.quantizations.integers import calibration_batches, folded_network
    from fjdl.errors import UsageError
    from fjdl.nn.quantized import sensitivities
    from fjdl.nn.quantized.layers import flat, kernel_name
    from fjdl.quant import bits_within, packed_length

    model, params, stats, _ = folded_network(run)
    seen = [run.recipe.network.seen(batch) for batch in calibration_batches(run.splits.train, options)]
    errors = sensitivities(model, params, stats, seen, bits=CHOICES)
    kernels = {path: flat(params)[kernel_name(path)] for path in errors}
    sizes = {
        path: {bits: kernel[..., 0].size * packed_length(kernel.shape[-1], bits=bits) for bits in CHOICES}
        for path, kernel in kernels.items()
    }
    budget = int(options.budget * sum(kernel.nbytes for kernel in kernels.values()))
    try:
        return Mixed(errors, bits_within(errors, sizes, budget=budget))
    except ValueError as error:
        raise UsageError(f"budget: {error}") from error


def sensitivity_figure(mixed: Mixed, *, title: str) -> Any:
    """A line of points for each layer, one for each number of bits, over the error; rings are what was chosen."""
    import matplotlib
    from matplotlib.figure import Figure

    from fjdl.plots.style import BLUE, GREEN, ORANGE, STYLE, VERMILION

    colours = dict(zip(CHOICES, (BLUE, GREEN, ORANGE, VERMILION), strict=True))
    places = range(len(mixed.errors))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.0, 1.8 + 0.24 * len(mixed.errors)))
        axes = figure.subplots()
        for bits, colour in colours.items():
            axes.scatter([row[bits] for row in mixed.errors.values()], places, color=colour, s=24, label=f"{bits} bits")
        chosen = [row[mixed.bits[path]] for path, row in mixed.errors.items()]
        axes.scatter(chosen, places, facecolors="none", edgecolors="black", s=90, label="chosen")
        axes.set_yticks(places, list(mixed.errors))
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.set_xlabel("squared error of the outputs, relative, this layer alone rounded")
        axes.legend(ncols=len(CHOICES) + 1, loc="lower center", bbox_to_anchor=(0.5, 1.0))
        figure.suptitle(title)
    return figure
