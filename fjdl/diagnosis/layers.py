"""What layers tell: units that are dead or saturated, gradients that vanish or explode on their way back."""

import math
import statistics
from collections.abc import Mapping, Sequence

from fjdl.diagnosis.finding import Finding, few, finding, percent

DEAD = 0.1  # share of a layer's units
SATURATED = 0.5  # share of examples and places, mean over a layer's units
VANISHED = 1e-3  # of the largest gradient: five sigmoids at their steepest leave 0.25⁵


def dead_units(shares: Mapping[str, Sequence[float]]) -> Finding:
    """Whether layers have many units that give 0 for every example, from the share of zeros of each unit.

    `shares` are those of `interpret.zero_share` by layer. There is trouble where more than a tenth of a layer's units
    are dead, ours: a few cost capacity, and they learn nothing more, since their gradient is 0 (Maas et al. 2013).
    Raises `ValueError` for no layers or one without units.
    """
    _require(shares)
    dead = {layer: sum(share >= 1 for share in each) / len(each) for layer, each in shares.items()}
    hurt = sorted((layer for layer in dead if dead[layer] > DEAD), key=lambda layer: -dead[layer])
    count, units = sum(share >= 1 for each in shares.values() for share in each), sum(map(len, shares.values()))
    where = few([f"{layer} {percent(dead[layer])}" for layer in hurt])
    return finding(
        "dead units",
        f"{count} of {units} ReLU units are 0 for all examples" + (f": {where}" if hurt else ""),
        trouble=bool(hurt),
        advice=(
            "lower the learning rate: one large step can push a unit below 0 for good",
            "take leaky ReLU, ELU or GELU in these layers, and He's initialization with biases of 0",
            "normalize the inputs of the layer (batch or layer normalization)",
        ),
        dead=count,
        units=units,
    )


def saturated_units(shares: Mapping[str, Sequence[float]]) -> Finding:
    """Whether tanh or sigmoid units are near their ends most of the time, where their slope is small.

    `shares` are those of `interpret.saturated_share` by layer. There is trouble where the mean over a layer's units
    exceeds one half, ours; Glorot & Bengio 2010 show what such layers do. Raises `ValueError` as `dead_units` does.
    """
    _require(shares)
    means = {layer: statistics.fmean(each) for layer, each in shares.items()}
    hurt = sorted((layer for layer in means if means[layer] > SATURATED), key=lambda layer: -means[layer])
    worst = max(means, key=lambda layer: means[layer])
    return finding(
        "saturated units",
        f"units of {worst} are within 5 % of an end for {percent(means[worst])} of the examples"
        + (f"; over one half: {few(hurt)}" if hurt else ", the most of all layers"),
        trouble=bool(hurt),
        advice=(
            "take ReLU in dense and convolutional layers, tanh before sigmoid in recurrent ones; sigmoid at outputs",
            "start with smaller weights (Xavier's initialization), and bring inputs to mean 0 and variance 1",
            "normalize the inputs of the layer",
        ),
        worst=means[worst],
    )


def gradient_flow(sizes: Mapping[str, float]) -> Finding:
    """Whether gradients vanish or explode from the last layer back to the first.

    `sizes` has a typical entry of each layer's gradient, such as the root mean square over its kernel, from the first
    layer to the last; layers compare where their inputs are of one scale. They vanish where the smallest is below
    0.001 of the largest, about what five sigmoids at their steepest leave (0.25⁵), and lies nearer to the inputs; they
    explode where it lies nearer to the outputs, or one is not finite. Raises `ValueError` for no layers.
    """
    if not sizes:
        raise ValueError("sizes must hold at least one layer, got none")
    layers, bad = list(sizes), [layer for layer, size in sizes.items() if not math.isfinite(size)]
    if bad:
        return finding("gradient flow", f"the gradient is not finite in {few(bad)}", trouble=True, advice=_EXPLODING)
    low, high = min(layers, key=lambda layer: sizes[layer]), max(layers, key=lambda layer: sizes[layer])
    if sizes[high] == 0:
        return finding("gradient flow", "the gradient is 0 in every layer", trouble=True, advice=_NOTHING, ratio=0.0)
    ratio = sizes[low] / sizes[high]
    vanishes = layers.index(low) < layers.index(high)
    words = f"a gradient's typical entry is {sizes[low]:.2g} in {low} and {sizes[high]:.2g} in {high}, the largest"
    verdict = ("; it vanishes towards the inputs" if vanishes else "; it explodes towards the inputs") * (
        ratio < VANISHED
    )
    return finding(
        "gradient flow",
        words + verdict,
        trouble=ratio < VANISHED,
        advice=_VANISHING if vanishes else _EXPLODING,
        ratio=ratio,
    )


_VANISHING = (
    "take ReLU or GELU in place of sigmoid and tanh, whose slopes are at most 0.25 and 1",
    "add residual connections or normalization; in recurrent networks take LSTM or GRU",
    "start from He's or Xavier's initialization",
)
_EXPLODING = (
    "clip the norm of the gradient: optax.chain(optim.clip_by_global_norm(1.0), ...)",
    "lower the learning rate, start with smaller weights, or normalize between layers",
)
_NOTHING = (
    "the loss does not depend on the parameters: look at stopped gradients, frozen layers, and dead units",
    "a loss that is exactly 0 for every example leaves nothing to learn either",
)


def _require(shares: Mapping[str, Sequence[float]]) -> None:
    if not shares or not all(len(each) for each in shares.values()):
        raise ValueError(f"shares must hold layers with at least one unit each, got {dict(shares)}")
